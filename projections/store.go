package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections/giveway"
)

// foldVersion is raised by whoever changes what a fold makes of the same facts. With the tables and the schemas it is the
// fingerprint of a generation of the views.
//
// Version 2 added obligation.form_version, version 3 the table finding. What a version changes in rows that were there before it is declared in
// changes.json: a rebuild that finds anything else stops before it switches.
const foldVersion = 3

// oldestReadable is the oldest fold version whose rows this program answers from, and keeps up with the log, while it
// builds its own. Columns that came later read as NULL there and are not written; a table that came later is not written,
// and who asks it asks otherwise where it is not. Whoever changes what stored rows mean raises it: then nothing is answered
// until the new rows are there.
const oldestReadable = 1

// table is one table of a generation. The first Key columns are its primary key.
type table struct {
	Name    string
	Columns []column
	Key     int
	Indexes []index // made after a bulk write, beside the key
	Since   int     // the fold version that added it; 0: there from the start
}

type column struct {
	Name    string
	Integer bool // a 64-bit integer; otherwise text
	Since   int  // the fold version that added it; 0: there from the start
}

type index struct {
	Columns string
	Unique  bool
	Where   string
}

func integer(name string) column { return column{name, true, 0} }
func text(name string) column    { return column{name, false, 0} }

// since is a column that came later. Rows of an older generation are read without it.
func (c column) since(fold int) column {
	c.Since = fold
	return c
}

// The tables. A doc is a JSON document: the states of a row in the order they became known, or a chronicle of facts. The
// columns beside it are what rows are found by.
var (
	tableUnit = table{Name: "unit", Key: 1, Columns: []column{integer("n"), text("code"), text("level"), text("search"), integer("next"), text("doc")},
		Indexes: []index{{Columns: "code", Unique: true}}}
	tableForm = table{Name: "form", Key: 1, Columns: []column{integer("n"), text("form")}}
	tableDay  = table{Name: "day", Key: 1, Columns: []column{integer("n"), text("regime"), text("date"), integer("regime_version"), text("duties"),
		integer("opened"), integer("closed"), integer("next"), text("doc")}, Indexes: []index{{Columns: "regime, date", Unique: true}}}
	tableRegime = table{Name: "regime", Key: 1, Columns: []column{text("regime"), integer("next"), text("doc")}}
	tableOffice = table{Name: "office", Key: 1, Columns: []column{text("unit"), integer("next"), text("doc")}}
	tableHolder = table{Name: "holder", Key: 2, Columns: []column{text("person"), text("unit")}}
	tablePerson = table{Name: "person", Key: 1, Columns: []column{text("person"), integer("next"), text("doc")}}
	tableTarget = table{Name: "target", Key: 4, Columns: []column{text("regime"), text("target"), text("date"), text("unit"), integer("known"), integer("recorded"), text("doc")}}

	// An obligation has one row, with a column for each view of it. Not one row for each state and view: a rebuild writes a
	// quarter of the rows in a third of the time, and a question about the past still reads one row.
	tableObligation = table{Name: "obligation", Key: 1, Columns: []column{integer("id"), integer("duty"), integer("parent"),
		text("status"), text("compliance"), text("answerability"), text("history"), integer("form_version").since(2)}}
	// tableVacancy and tableSignOff list the few obligations whose office is vacant, under the unit that answers above, and
	// those that wait for a signature. Tables, not indexes: a rebuild need not read everything it wrote once more.
	tableVacancy = table{Name: "vacancy", Key: 2, Columns: []column{integer("unit"), integer("id")}}
	tableBreach  = table{Name: "breach", Key: 2, Columns: []column{integer("id"), text("kind"), text("doc")}}
	tableSignOff = table{Name: "signoff", Key: 2, Columns: []column{integer("unit"), integer("id")}}

	// tableFinding lists the obligations that a search may find, by what it looks for. Once there a row stays: what was known
	// at an instant the obligation itself says.
	tableFinding = table{Name: "finding", Key: 2, Columns: []column{integer("what"), integer("id")}, Since: 3}

	tableParked = table{Name: "parked", Key: 1, Columns: []column{text("stream"), text("unit"), text("regime"), integer("revision"), text("event_id"),
		text("kind"), text("error"), integer("waiting"), integer("recorded"), integer("known"), text("place")}}
	tablePosition = table{Name: "position", Key: 1, Columns: []column{integer("id"), integer("commit_pos"), integer("prepare_pos"), text("stream"), integer("revision"),
		text("event_id"), integer("recorded"), integer("known"), integer("events"), integer("next_day"), integer("next_form"), integer("next_unit")}}

	// tables lists them in the order a bulk write takes.
	tables = []table{tableUnit, tableForm, tableDay, tableRegime, tableOffice, tableHolder, tablePerson, tableTarget,
		tableObligation, tableBreach, tableVacancy, tableSignOff, tableFinding, tableParked, tablePosition}
)

// dialect is what differs between databases. SQL that both understand is written once, with ? for its arguments.
type dialect interface {
	// bind gives the placeholders the database's form.
	bind(query string) string
	create(generation int, t table) string
	// index is what a table gets after its rows.
	index(generation int, t table) []string
	// name is the only way to a table's name: a generation has its own tables.
	name(generation int, t table) string
	// transient reports whether the same work may succeed when it is tried again.
	transient(err error) bool
	// missing reports that a table is not there, full that there is no room left.
	missing(err error) bool
	full(err error) bool
	// damaged reports whether what is stored cannot be read, whoever asks and however often.
	damaged(err error) bool
	// insert writes rows; conflict is the clause for those that are there already, "" where none can be.
	insert(ctx context.Context, tx *sql.Tx, generation int, r rows, conflict string) error
	// clean is a text as the database gives it back.
	clean(text string) string
	// patient lifts the limits on a transaction that reads everything.
	patient(ctx context.Context, tx *sql.Tx) error
}

// store keeps the register of generations and opens them. At most one generation is live.
type store interface {
	dialect() dialect
	// open opens the newest generation in a state, or gives nil when there is none. Readers see the live one.
	open(ctx context.Context, state string) (*generation, error)
	// liveNumber tells which generation readers see, 0 when there is none.
	liveNumber(ctx context.Context) (int, error)
	// alone runs f while no other process makes a generation, or replaces one.
	alone(ctx context.Context, f func(ctx context.Context) error) error
	// begin makes the empty tables of a new generation, open for writing only. What an earlier attempt left goes first.
	// It is called within alone, as are finish and publish.
	begin(ctx context.Context, fingerprint string) (*generation, error)
	// setAside forgets a generation that cannot be read, and keeps what there is of it for whoever wants to know why.
	setAside(ctx context.Context, state string, now time.Time) error
	// finish makes what was written durable and opens the generation as live does.
	finish(ctx context.Context, g *generation) error
	// settle records, in one transaction and durably with everything that finish made so, that a generation needs nothing
	// but to follow the log, and what was found when it was written. record gives that back.
	settle(ctx context.Context, g *generation, record string) error
	record(ctx context.Context, g *generation) (string, error)
	// publish makes a generation that stands at a position the live one, in one transaction, and gives the one before it
	// the state former; there is one previous at most. errBehind: the live one stands further on by now, and readers must
	// not go back. anyway does it all the same.
	publish(ctx context.Context, g *generation, at eventlog.Position, former string, anyway bool) error
	// hold keeps a generation in the state it was opened in until tx, which writes to it, ends; ErrFenced when it is in
	// another.
	hold(ctx context.Context, tx *sql.Tx, g *generation) error
	// announce tells other processes, when tx is committed, that the position moved.
	announce(ctx context.Context, tx *sql.Tx) error
	// watch calls moved whenever another process may have moved the position, until ctx ends.
	watch(ctx context.Context, moved func())
	// lead runs f while this process is the one that applies events. f's context ends when it no longer is.
	lead(ctx context.Context, f func(ctx context.Context) error) error
	// led reports whether another process may be the one that applies events now.
	led(ctx context.Context) (bool, error)
	// board is where a rebuild and the processes that answer questions hear of each other.
	board() giveway.Board
	// tidy removes what a rebuild that died, and one that was done, have left behind, when that is this process's to do.
	tidy(ctx context.Context) error
	// discard removes the generations in a state.
	discard(ctx context.Context, state string) error
	close() error
}

// The states of a generation.
const (
	stateBuilding = "building" // being written; of no use when its writer is gone
	stateWritten  = "written"  // all there and settled: whoever rebuilds next brings it up to date and puts it in place
	stateLive     = "live"     // the one readers see
	statePrevious = "previous" // the one they saw before, kept up with the log so that a rebuild can be undone
	stateRetired  = "retired"  // to be removed
)

// errBehind: the live generation stands further on than the one that is to replace it.
var errBehind = errors.New("the live generation stands further on")

// create gives the statement that makes an index of a table that is named so.
func (i index) create(t table, name string) string {
	unique, where := "", ""
	if i.Unique {
		unique = "UNIQUE "
	}
	if i.Where != "" {
		where = " WHERE " + i.Where
	}
	return fmt.Sprintf("CREATE %sINDEX %s_%s ON %s (%s)%s", unique, t.Name, strings.ReplaceAll(i.Columns, ", ", "_"), name, i.Columns, where)
}

func (t table) keyNames() []string {
	var out []string
	for _, c := range t.Columns[:t.Key] {
		out = append(out, c.Name)
	}
	return out
}

// generation is one complete set of tables with its own position. Readers see exactly one.
type generation struct {
	n           int
	fingerprint string
	state       string // when it was opened; under Views.apply once it is the live one
	dialect     dialect
	write       *sql.DB // nil for a reader
	read        *sql.DB
	units       unitCache
	fixed       fixed
	statements  statements
	growing     *growing // while it is written for the first time, in a file of its own; nil otherwise
	// bulk writes all rows of a table that has an encoder, before anything else is written; fills begins to write them while
	// there are more to come. nil where the database does not take them so. each is told how many are done. keysLast: until
	// the tables are indexed none can tell which rows are there.
	bulk     func(ctx context.Context, r rows, encoders int, each func(done int) error) error
	fills    func(ctx context.Context, t table, encoders int) (bulkWriter, error)
	keysLast bool
	// columns are those that each table has, by its name. nil: those of this program. A generation that lacks one that was
	// there from the start cannot be read.
	columns  map[string][]string
	unusable error
}

func (g *generation) name(t table) string { return g.dialect.name(g.n, t) }

// sql fills a query: every {table} becomes its name, every {table.column} the column or NULL where the generation is older
// than it, every ? the dialect's placeholder.
func (g *generation) sql(query string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(query, "{")
		b.WriteString(before)
		if !found {
			return g.dialect.bind(b.String())
		}
		name, after, _ := strings.Cut(rest, "}")
		switch t, column, isColumn := strings.Cut(name, "."); {
		case !isColumn:
			b.WriteString(g.dialect.name(g.n, table{Name: name}))
		case g.has(t, column):
			b.WriteString(column)
		default:
			b.WriteString("NULL")
		}
		query = after
	}
}

func (g *generation) close() error {
	var errs []error
	if g.write != nil {
		errs = append(errs, g.write.Close())
	}
	if g.read != nil {
		errs = append(errs, g.read.Close())
	}
	errs = append(errs, g.growing.stop())
	return errors.Join(errs...)
}

// position is where a generation stands, with the event there.
type position struct {
	at       eventlog.Position
	stream   string
	revision uint64
	eventID  string
	recorded instant
	known    instant
	events   int64
	numbers  numbers
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (g *generation) position(ctx context.Context, q querier) (position, error) {
	p, _, err := g.standing(ctx, q)
	return p, err
}

// standing is the position, and how many streams are parked: every question asks for both.
func (g *generation) standing(ctx context.Context, q querier) (p position, parked int, err error) {
	var commit, prepare, revision int64
	err = q.QueryRowContext(ctx, g.sql(`SELECT commit_pos, prepare_pos, stream, revision, event_id, recorded, known, events, next_day, next_form, next_unit,
		(SELECT COUNT(*) FROM {parked}) FROM {position} WHERE id = 1`)).
		Scan(&commit, &prepare, &p.stream, &revision, &p.eventID, &p.recorded, &p.known, &p.events, &p.numbers.day, &p.numbers.form, &p.numbers.unit, &parked)
	if errors.Is(err, sql.ErrNoRows) {
		return position{numbers: numbers{1, 1, 1}}, 0, nil
	}
	if err != nil {
		return position{}, 0, fmt.Errorf("projections: read position: %w", err)
	}
	p.at, p.revision = eventlog.Position{Commit: uint64(commit), Prepare: uint64(prepare)}, uint64(revision)
	return p, parked, nil
}

// questionMarks gives n rows of cols placeholders.
func questionMarks(cols, n int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", cols), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+",", n), ",")
}

// dollars turns ? into $1, $2, …
func dollars(query string) string {
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
