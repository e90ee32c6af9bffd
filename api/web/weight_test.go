package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// maxPageBytes is what a page may weigh on the line, compressed: it then is there within a second on a line of 50 kB/s.
const maxPageBytes = 40_000

// TestWeightOfAProvince: no page of the department or of an inspector grows with the province. The regime has 2,000 communes, of which
// every third has not reported when the day is closed.
func TestWeightOfAProvince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := province.Province{Regime: "big", Units: 2000, Zone: "Asia/Ho_Chi_Minh", Day: testDay, Last: "2021-02-28"}
	w.ok(p.SetUp(w.ctx, w.ledger, w.clock.Now))
	w.ok(p.Open(w.ctx, w.ledger, testDay))
	w.ok(p.Each(8, func(i int) error {
		if i%3 == 0 {
			return nil
		}
		_, err := w.ledger.SubmitReport(w.ctx, commands.Command{ID: domain.NewCommandID("weight", string(p.Unit(i))), Actor: province.Filer, Channel: domain.ChannelWeb, ReceivedAt: w.clock.Now()},
			commands.Filing{Key: p.Key(i, testDay), Figures: p.Figures(i, 0)})
		return err
	}))
	w.clock.Set(at(23, 50))
	_, err := (&commands.Closer{Ledger: w.ledger, Parallel: 8}).CloseDue(w.ctx)
	w.ok(err)
	w.settle()

	asked := "regime=big&date=" + string(testDay)
	more := map[string][]string{
		"totals":   {"unit=d000", "form=commune", "form=commune&unit=d001"},
		"chain":    {"form=commune&field=installed", "form=commune&field=installed&unit=d000", "form=commune&field=installed&of=u00001"},
		"grid":     {"from=2021-02-08&to=2021-02-28", "unit=d000", "known=deadline", "known=synthesis"},
		"judge":    {"kind=missing", "kind=unsigned"},
		"search":   {"what=breaches", "what=changed", "what=deputy", "what=head_changed", "what=out_of_date"},
		"district": {"unit=d000"}, "organisation": {"parent=d000"}, "inspect": {"q=u0"}, "people": {"q=a"}, "report": {"known_at=2021-02-08T12:00"},
	}
	weighed := map[string]bool{}
	for _, who := range []domain.PersonID{"department", "inspector"} {
		b := w.as(who)
		for _, rt := range w.handler.routes {
			if rt.method != http.MethodGet || rt.json || rt.rule.public || notPages[rt.id] != "" {
				continue
			}
			path := strings.NewReplacer("{regime}", "big", "{form}", "commune", "{unit}", "d000", "{date}", string(testDay), "{person}", string(province.Head),
				"{stream}", "unit-d000", "{revision}", "0", "{name}", "EventPage", "{event}", "00000000-0000-4000-8000-000000000000").Replace(rt.path)
			for _, rest := range append(more[rt.id], "") {
				target := path + "?" + strings.TrimSuffix(asked+"&"+rest, "&")
				r := b.ask(http.MethodGet, target, nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
				if r.Body.Len() > maxPageBytes {
					t.Errorf("%s %s: %d bytes on the line, want at most %d", who, target, r.Body.Len(), maxPageBytes)
				}
				if r.Code == http.StatusOK {
					weighed[rt.id] = true
				}
			}
		}
	}

	// What is folded leads on to what it is made of.
	b := w.as("inspector")
	for _, x := range []struct{ page, link, leadsTo string }{
		{"/totals?" + asked, "unit=d019", "u01999"},
		{"/chain?" + asked + "&form=commune&field=installed", "unit=d019", "Đơn vị u01999"},
		{"/grid?" + asked + "&to=2021-02-28", "unit=d019", "Đơn vị u01999"},
	} {
		root := b.page(x.page)
		if strings.Contains(textOf(root), "u01999") {
			t.Errorf("%s shows the communes of every district", x.page)
		}
		link := find(root, func(n *html.Node) bool { return n.Data == "a" && strings.Contains(attr(n, "href"), x.link) })
		if link == nil {
			t.Errorf("%s leads to no district:\n%s", x.page, textOf(root))
			continue
		}
		b.shows(b.page(attr(link, "href")), x.leadsTo)
	}
	for _, id := range slices.Sorted(maps.Keys(more)) {
		if !weighed[id] {
			t.Errorf("page %s was not weighed", id)
		}
	}
}
