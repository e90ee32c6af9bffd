package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// manyRows answers a board of more rows than the views give at once; the missing ones come last.
type manyRows struct {
	Views
	rows int
}

func (m manyRows) Compliance(_ context.Context, q projections.ComplianceQuery) (projections.CompliancePage, error) {
	from := 0
	if q.After != "" {
		from, _ = strconv.Atoi(q.After)
	}
	var page projections.CompliancePage
	for i := from; i < min(from+q.Limit, m.rows); i++ {
		row := projections.ComplianceRow{Slot: projections.Slot{Regime: q.Regime, Form: "commune", Date: q.From, Unit: domain.UnitCode(fmt.Sprint(100_000 + i))}, UnitName: fmt.Sprint("Xã ", i), Status: domain.StatusOnTime, SignOff: domain.SignOffWaiting, Determinable: true}
		if i >= m.rows-3 {
			row.Status = domain.StatusMissing
		}
		page.Rows = append(page.Rows, row)
	}
	if end := from + q.Limit; end < m.rows {
		page.Next = strconv.Itoa(end)
	}
	return page, nil
}

// TestBoardOfManyUnits: the department's board, which is of every unit, begins with what is missing wherever it stands, and
// its pages together show every row once.
func TestBoardOfManyUnits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.handler.Config
	const many = projections.MaxLimit + 250
	config.Views = manyRows{config.Views, many}
	handler, err := New(config)
	w.ok(err)
	w.handler = handler
	department := w.as("department")
	seen, address := map[string]int{}, "/district?date=2021-02-08"
	for pages := 0; address != ""; pages++ {
		if pages > many/boardRows {
			t.Fatal("the pages do not end")
		}
		root := department.page(address)
		first := true
		address = ""
		for n := range root.Descendants() {
			switch {
			case n.Data == "th" && attr(n, "scope") == "row":
				unit := attr(find(n, func(n *html.Node) bool { return n.Data == "a" }), "href")
				seen[unit]++
				if pages == 0 && first && !strings.Contains(unit, fmt.Sprint(100_000+many-3)) {
					t.Errorf("the board begins with %s", unit)
				}
				first = false
			case n.Data == "a" && attr(n, "rel") == "next" && strings.Contains(attr(n, "href"), "cursor="):
				address = attr(n, "href")
			}
		}
	}
	if len(seen) != many {
		t.Errorf("%d rows of %d are shown", len(seen), many)
	}
	for unit, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", unit, n)
		}
	}
	department.want(http.MethodGet, "/district?cursor=-1", nil, http.StatusBadRequest)
}

// TestBoardBeginsWithWhatIsMissing: on the board of a district what is missing stands before what is due and what came.
func TestBoardBeginsWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fullDay()
	root := w.as("district").page("/district?unit=718&date=2021-02-08")
	var order []string
	for n := range root.Descendants() {
		if n.Data == "th" && attr(n, "scope") == "row" {
			mark := find(n.Parent, func(n *html.Node) bool { return strings.Contains(attr(n, "class"), "mark") })
			order = append(order, strings.TrimPrefix(attr(mark, "class"), "mark "))
		}
	}
	if !slices.Equal(order, []string{"missing", "on_time"}) {
		t.Errorf("the board stands in the order %v", order)
	}
}
