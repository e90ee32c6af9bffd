package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/projections"
)

// reorganised is the world in which 25744 moves from 718 to 719 on the 10th, 25741 is merged into 25819 of 719 on the
// 12th, and 719 has another name from the 10th on.
func reorganised(t *testing.T) *world {
	w := newWorld(t, options{})
	w.submit()
	w.clock.Set(clockAt("09:00:00"))
	for path, body := range map[string]string{
		"25744": `{"change":"moved","parent":"719","effective_on":"2021-02-10","basis":"01/NQ"}`,
		"25741": `{"change":"merged","into":"25819","effective_on":"2021-02-12","basis":"02/NQ"}`,
		"719":   `{"change":"renamed","name":"Bàu Bàng Mới","effective_on":"2021-02-10","basis":"03/NQ"}`,
	} {
		w.want(ask{as: "department", method: "POST", path: "/v1/units/" + path + "/changes", body: body}, 201)
	}
	w.settle()
	return w
}

// TestTheTreeAsOf: as_of moves rows between areas, loses none, and leaves who answers alone (rules 8 and 15); it is
// independent of what was known.
func TestTheTreeAsOf(t *testing.T) {
	t.Parallel()
	w := reorganised(t)
	const regime = "/v1/regimes/bluezone/"
	before := "&known_at=2021-02-08T08:30:00%2B07:00"
	for _, x := range []struct {
		query string
		areas string // of the board, with the number of obligations
		below string // communes under 719
	}{
		{"", "718:2 719:1 74:2", "25819"},
		{"as_of=2021-02-09", "718:2 719:1 74:2", "25819"},
		{"as_of=2021-02-10", "718:1 719:2 74:2", "25744 25819"},
		{"as_of=2021-02-12", "719:3 74:2", "25741 25744 25819"},
		{"as_of=2021-02-12" + before, "718:2 719:1 74:2", "25819"}, // it was not known then
	} {
		b := decodeInto[projections.DayBoard](t, w.want(ask{as: "inspector", path: regime + "days/2021-02-08/board?" + x.query}, 200))
		var areas []string
		for _, a := range b.Areas {
			areas = append(areas, fmt.Sprintf("%s:%d", a.Area, a.Obligations))
		}
		if got := strings.Join(areas, " "); got != x.areas || b.Total.Obligations != 5 {
			t.Errorf("board %s: %s of %d, want %s", x.query, got, b.Total.Obligations, x.areas)
		}
		var below, records, sums []string
		p := decodeInto[projections.CompliancePage](t, w.want(ask{as: "inspector", path: regime + "compliance?form=commune&parent=719&" + x.query}, 200))
		for _, r := range p.Rows {
			below = append(below, string(r.Unit))
			if r.Parent != "719" || r.Absent != (r.Unit == "25741") {
				t.Errorf("compliance %s: %+v", x.query, r)
			}
		}
		rec := decodeInto[projections.UnitRecordPage](t, w.want(ask{as: "inspector", path: regime + "records?form=commune&parent=719&" + x.query}, 200))
		for _, r := range rec.Records {
			records = append(records, string(r.Unit))
		}
		s := decodeInto[projections.Synthesis](t, w.want(ask{as: "inspector", path: regime + "days/2021-02-08/synthesis?form=commune&area=719&" + x.query}, 200))
		for _, m := range s.Totals[0].MadeOf {
			sums = append(sums, string(m.Unit))
		}
		sums = append(sums, wordsOf(s.Totals[0].Missing)...)
		slices.Sort(sums)
		for name, got := range map[string][]string{"compliance": below, "records": records, "synthesis": sums} {
			if diff := cmp.Diff(strings.Fields(x.below), got); diff != "" {
				t.Errorf("%s %s: %s", name, x.query, diff)
			}
		}
	}
	// The unit that was merged keeps its record, and the head at the deadline stays answerable for it.
	var heads []projections.HeadRef
	for _, query := range []string{"", "&as_of=2021-02-12"} {
		a := decodeInto[projections.AnswerPage](t, w.want(ask{as: "inspector", path: regime + "answers?unit=25741&form=commune" + query}, 200))
		if len(a.Records) != 1 || a.Records[0].Absent != (query != "") {
			t.Fatalf("%+v", a)
		}
		heads = append(heads, a.Records[0].Answerable)
	}
	if diff := cmp.Diff(heads[0], heads[1]); diff != "" || heads[0].Person == nil {
		t.Error(diff)
	}
}

func wordsOf[T ~string](all []T) []string {
	var out []string
	for _, x := range all {
		out = append(out, string(x))
	}
	return out
}

// TestAsOfInPlaces: units, offices, rules and the queue as of a day; and a clear refusal where it means nothing.
func TestAsOfInPlaces(t *testing.T) {
	t.Parallel()
	w := reorganised(t)
	names := map[string]string{}
	for _, d := range []string{"2021-02-09", "2021-02-12"} {
		p := decodeInto[projections.UnitPage](t, w.want(ask{as: "inspector", path: "/v1/units?level=commune&as_of=" + d}, 200))
		for _, r := range p.Rows {
			names[d] += string(r.Unit) + "<" + string(r.Parent) + " "
		}
		o := decodeInto[projections.OfficeRow](t, w.want(ask{as: "inspector", path: "/v1/units/719/office?as_of=" + d}, 200))
		names[d] += o.UnitName
	}
	if diff := cmp.Diff(map[string]string{"2021-02-09": "25741<718 25744<718 25819<719 Bàu Bàng", "2021-02-12": "25744<719 25819<719 Bàu Bàng Mới"}, names); diff != "" {
		t.Error(diff)
	}

	for query, want := range map[string]string{"": "1 1", "?as_of=2021-02-04": "0 0", "?as_of=2021-02-08": "1 1", "?as_of=2021-02-09": "1 0"} {
		o := decodeInto[projections.OfficeRow](t, w.want(ask{as: "inspector", path: "/v1/units/25741/office" + query}, 200))
		if got := fmt.Sprint(len(o.Tenures), len(o.Authorities)); got != want {
			t.Errorf("office%s: %s, want %s", query, got, want)
		}
	}

	rules := testRules()
	rules.Duties[0].Due = "14:00"
	body, err := json.Marshal(amendBody{Rules: rules, Reason: "đổi hạn"})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Set(clockAt("09:00:00").AddDate(0, 0, 1))
	w.want(ask{as: "department", method: "POST", path: "/v1/regimes/bluezone/amendments", body: string(body)}, 201)
	w.settle()
	for query, want := range map[string]string{"": "2", "?as_of=2021-02-08": "1", "?as_of=2021-02-09": "2", "?as_of=2021-02-04": "", "?known_at=2021-02-08T09:00:00%2B07:00": "1"} {
		got := ""
		for _, r := range decodeInto[projections.RegimePage](t, w.want(ask{as: "inspector", path: "/v1/regimes" + query}, 200)).Regimes {
			got += fmt.Sprint(r.Version)
		}
		if got != want {
			t.Errorf("regimes%s: %q, want %q", query, got, want)
		}
	}

	const queue = "/v1/regimes/bluezone/sign-off-queue"
	for query, want := range map[string]int{"": 1, "?known_at=2021-02-08T07:59:59%2B07:00": 0, "?known_at=2021-02-08T08:00:00%2B07:00": 1, "?unit=25744&known_at=2021-02-08T08:30:00%2B07:00": 0} {
		if q := decodeInto[projections.QueuePage](t, w.want(ask{as: "inspector", path: queue + query}, 200)); len(q.Rows) != want {
			t.Errorf("queue%s: %+v", query, q.Rows)
		}
	}

	for _, path := range []string{"/v1/regimes/bluezone/days?as_of=2021-02-08", "/v1/events?as_of=2021-02-08", reportURL + "?known_at=2021-02-08T08:00:00Z", "/v1/regimes/bluezone?as_of=2021-02-08", "/v1/forms?as_of=2021-02-08"} {
		if p := decodeInto[Problem](t, w.want(ask{as: "inspector", path: path}, 400)); p.Code != string(codeParameterIdle) {
			t.Errorf("%s: %s", path, p.Code)
		}
	}
}

// TestAsOfOpensNoDoor: who sees one area sees no others by naming a day on which they belonged to it.
func TestAsOfOpensNoDoor(t *testing.T) {
	t.Parallel()
	w := reorganised(t)
	for _, path := range []string{"days/2021-02-08/board?area=719&as_of=2021-02-10", "days/2021-02-08/synthesis?area=719&as_of=2021-02-10", "compliance?parent=719&as_of=2021-02-10", "breaches?parent=719&as_of=2021-02-10", "records?parent=719&as_of=2021-02-10"} {
		if p := decodeInto[Problem](t, w.want(ask{as: "district_far", path: "/v1/regimes/bluezone/" + path}, 403)); p.Code != string(codeAsOfReach) {
			t.Errorf("%s: %s", path, p.Code)
		}
		w.want(ask{as: "department", path: "/v1/regimes/bluezone/" + path}, 200)
	}
	w.want(ask{as: "district_far", path: "/v1/regimes/bluezone/compliance?unit=25819&as_of=2021-02-10"}, 200)
	w.want(ask{as: "district_far", path: "/v1/units?parent=719&as_of=2021-02-10"}, 200)
}
