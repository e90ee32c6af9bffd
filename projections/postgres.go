package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
	"github.com/answerable-ledger/answerable/projections/giveway"
)

// The names in the database. Each generation has a schema of its own, so that it is dropped at once and no name depends on
// a search path.
const (
	pgSchema   = "answerable_views" // the register; generation 7 is answerable_views_7
	pgRegister = pgSchema + "."
	// pgChannel is where a runner tells other processes that the position moved.
	pgChannel = "answerable_views"
)

// postgresDialect keeps every generation in one database. Text is compared by its bytes, as SQLite does: the order of a
// page must not depend on the server's locale.
type postgresDialect struct{}

func (postgresDialect) bind(query string) string { return dollars(query) }

func (postgresDialect) name(n int, t table) string {
	return pgSchema + "_" + strconv.Itoa(n) + "." + t.Name
}

// create leaves the key to index, which comes after the rows; but the position is moved while there are no rows yet.
func (d postgresDialect) create(n int, t table) string {
	var cols []string
	for _, c := range t.Columns {
		if c.Integer {
			cols = append(cols, c.Name+" BIGINT")
		} else {
			cols = append(cols, c.Name+` TEXT COLLATE "C"`)
		}
	}
	if t.Name == tablePosition.Name {
		cols = append(cols, d.key(t))
	}
	// A document of some kilobytes stays in its row as it is: packing it costs more than reading it ever will.
	return fmt.Sprintf("CREATE TABLE %s (%s) WITH (toast_tuple_target = 8160)", d.name(n, t), strings.Join(cols, ", "))
}

func (postgresDialect) key(t table) string {
	return "PRIMARY KEY (" + strings.Join(t.keyNames(), ", ") + ")"
}

func (d postgresDialect) index(n int, t table) []string {
	var out []string
	if t.Name != tablePosition.Name {
		out = append(out, "ALTER TABLE "+d.name(n, t)+" ADD "+d.key(t))
	}
	for _, i := range t.Indexes {
		out = append(out, i.create(t, d.name(n, t)))
	}
	var numbers []string
	for i, c := range t.Columns {
		if c.Integer || i < t.Key {
			numbers = append(numbers, c.Name)
		}
	}
	// Until then the planner knows nothing of the rows; and of documents it need not know anything.
	return append(out, "ANALYZE "+d.name(n, t)+" ("+strings.Join(numbers, ", ")+")")
}

func (postgresDialect) missing(err error) bool { return postgres.Code(err) == "42P01" }

// setAside leaves the tables where they are: the server's operator looks after what lies under them.
func (s *postgresStore) setAside(context.Context, string, time.Time) error { return nil }

func (postgresDialect) damaged(err error) bool { return strings.HasPrefix(postgres.Code(err), "XX") }
func (postgresDialect) full(err error) bool    { return postgres.Code(err) == "53100" }

func (postgresDialect) transient(err error) bool { return postgres.Transient(err) }

// clean: see postgres.Clean. No key of a row needs it: the names in the ledger are of fewer signs.
func (postgresDialect) clean(text string) string { return postgres.Clean(text) }

func (postgresDialect) patient(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return fmt.Errorf("projections: lift limits: %w", err)
	}
	return nil
}

// Measured: below some hundred rows the round trips of COPY into a table beside cost more than statements do.
const (
	pgRowsPerInsert = 100
	pgCopyFrom      = 400
	pgRowsPerChunk  = 256
)

func (d postgresDialect) insert(ctx context.Context, tx *sql.Tx, n int, r rows, conflict string) error {
	name := d.name(n, r.table)
	if conflict == "" {
		return d.copyRows(ctx, tx, name, r)
	}
	if r.n < pgCopyFrom {
		return insertRows(ctx, tx, d, name, r, conflict, pgRowsPerInsert)
	}
	// A table of this connection alone, which ends with the transaction.
	beside := "pg_temp.batch_" + r.table.Name
	if _, err := tx.ExecContext(ctx, "CREATE TEMPORARY TABLE batch_"+r.table.Name+" (LIKE "+name+") ON COMMIT DROP"); err != nil {
		return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
	}
	if err := d.copyRows(ctx, tx, beside, r); err != nil {
		return err
	}
	columns := strings.Join(r.table.columnNames(), ", ")
	if _, err := tx.ExecContext(ctx, "INSERT INTO "+name+" ("+columns+") SELECT "+columns+" FROM "+beside+conflict); err != nil {
		return fmt.Errorf("projections: write %s: %w", r.table.Name, err)
	}
	return nil
}

// copyRows writes rows that are not there yet. They are encoded ahead of the connection that takes them.
func (d postgresDialect) copyRows(ctx context.Context, tx *sql.Tx, name string, r rows) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stmt, err := tx.PrepareContext(ctx, "COPY "+name+" ("+strings.Join(r.table.columnNames(), ", ")+") FROM STDIN")
	if err != nil {
		return fmt.Errorf("projections: copy %s: %w", r.table.Name, err)
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	cols := len(r.table.Columns)
	for c := range encodeAhead(ctx, r, pgRowsPerChunk) {
		if c.err != nil {
			return fmt.Errorf("projections: encode %s: %w", r.table.Name, c.err)
		}
		for i := range c.n {
			if _, err := stmt.ExecContext(ctx, c.args[i*cols:(i+1)*cols]...); err != nil {
				return fmt.Errorf("projections: copy %s: %w", r.table.Name, err)
			}
		}
	}
	if err := ctx.Err(); err != nil { // then the chunks ended before the rows did
		return err
	}
	if _, err := stmt.ExecContext(ctx); err != nil { // the end of the rows
		return fmt.Errorf("projections: copy %s: %w", r.table.Name, err)
	}
	return nil
}

// postgresStore is the register of generations in a database that several processes share.
type postgresStore struct {
	place    string // with its password: not to be shown
	shown    string
	role     string // what reading connections take on; "" when this user may not
	readOnly bool
	logger   *zap.Logger
	registry *sql.DB
}

func openPostgres(ctx context.Context, place string, readOnly bool, logger *zap.Logger) (_ store, err error) {
	s := &postgresStore{place: place, readOnly: readOnly, logger: logger}
	if s.shown, err = postgres.Check(place); err != nil {
		return nil, fmt.Errorf("projections: %w", err)
	}
	if s.registry, err = postgres.Open(place, postgres.Pool{Name: "views register", Conns: 2}); err != nil {
		return nil, fmt.Errorf("projections: %w", err)
	}
	if !readOnly {
		if err := s.setUp(ctx); err != nil {
			return nil, errors.Join(err, s.registry.Close())
		}
	}
	if err := s.findRole(ctx); err != nil {
		return nil, errors.Join(err, s.registry.Close())
	}
	return s, nil
}

// setUp makes the register, and the role that may read and nothing else, where this user may make roles. Several
// processes may start at once.
func (s *postgresStore) setUp(ctx context.Context) error {
	var there bool
	err := s.registry.QueryRowContext(ctx, `SELECT CASE WHEN to_regclass($1) IS NULL THEN false
		ELSE EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $2 AND has_schema_privilege(oid, $3, 'USAGE')) END`, pgRegister+"reads", postgres.Reader, pgSchema).Scan(&there)
	if err != nil {
		return s.failed("open", err)
	}
	if there {
		return nil
	}
	return postgres.Alone(ctx, s.place, postgres.LockSetup, "views set-up", func(ctx context.Context) error {
		for _, statement := range []string{
			`CREATE SCHEMA IF NOT EXISTS ` + pgSchema,
			`CREATE TABLE IF NOT EXISTS ` + pgSchema + `.generation (n INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL)`,
			`CREATE TABLE IF NOT EXISTS ` + pgRegister + `written (n INTEGER PRIMARY KEY, record TEXT NOT NULL)`,
			fmt.Sprintf(giveway.CreateTable, pgRegister),
			`CREATE UNIQUE INDEX IF NOT EXISTS generation_live ON ` + pgSchema + `.generation (state) WHERE state = '` + stateLive + `'`,
		} {
			if _, err := s.registry.ExecContext(ctx, statement); err != nil {
				return s.failed("set up", err)
			}
		}
		switch refused, err := postgres.MakeReader(ctx, s.registry); {
		case err != nil:
			return s.failed("set up", err)
		case refused != nil:
			s.logger.Warn("the role "+postgres.Reader+" cannot be made: reading connections are held to reading by a setting only", zap.Error(refused))
			return nil
		}
		return s.grant(ctx, pgSchema)
	})
}

// grant lets the reader role read a schema.
func (s *postgresStore) grant(ctx context.Context, schema string) error {
	if err := postgres.GrantReader(ctx, s.registry, schema); err != nil {
		return s.failed("grant", err)
	}
	return nil
}

// findRole takes the reader role for reading connections when this user may take it.
func (s *postgresStore) findRole(ctx context.Context) error {
	role, err := postgres.FindReader(ctx, s.registry)
	if err != nil {
		return s.failed("open", err)
	}
	s.role = role
	return nil
}

func (s *postgresStore) failed(operation string, err error) error {
	return fmt.Errorf("projections: %s %s: %w", operation, s.shown, err)
}

func (s *postgresStore) close() error     { return s.registry.Close() }
func (s *postgresStore) dialect() dialect { return postgresDialect{} }

func (s *postgresStore) liveNumber(ctx context.Context) (n int, err error) {
	err = s.registry.QueryRowContext(ctx, `SELECT n FROM `+pgSchema+`.generation WHERE state = $1`, stateLive).Scan(&n)
	switch {
	case errors.Is(err, sql.ErrNoRows), postgres.Code(err) == "42P01": // a reader does not make the register
		return 0, nil
	case err != nil:
		return 0, s.failed("register", err)
	}
	return n, nil
}

func (s *postgresStore) open(ctx context.Context, state string) (*generation, error) {
	g := &generation{dialect: postgresDialect{}, state: state}
	err := s.registry.QueryRowContext(ctx, `SELECT n, fingerprint FROM `+pgSchema+`.generation WHERE state = $1 ORDER BY n DESC LIMIT 1`, state).Scan(&g.n, &g.fingerprint)
	switch {
	case errors.Is(err, sql.ErrNoRows), postgres.Code(err) == "42P01": // a reader does not make the register
		return nil, nil
	case err != nil:
		return nil, s.failed("register", err)
	}
	var there bool
	if err := s.registry.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, g.name(tablePosition)).Scan(&there); err != nil {
		return nil, s.failed("register", err)
	}
	if !there {
		return nil, fmt.Errorf("projections: generation %d is not in %s (mend it with: answerable rebuild)", g.n, s.shown)
	}
	if err := s.connect(g); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (s *postgresStore) connect(g *generation) (err error) {
	if !s.readOnly {
		if g.write, err = postgres.Open(s.place, postgres.Pool{Name: "views", Conns: 2}); err != nil {
			return fmt.Errorf("projections: %w", err)
		}
	}
	// A question is answered from one snapshot, so that position and rows belong together.
	g.read, err = postgres.Open(s.place, postgres.Pool{Name: "views reader", Conns: 16, Role: s.role,
		Settings: map[string]string{"default_transaction_read_only": "on", "default_transaction_isolation": "repeatable read"}})
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	return nil
}

func (s *postgresStore) alone(ctx context.Context, f func(context.Context) error) error {
	return postgres.Alone(ctx, s.place, postgres.LockRebuild, "rebuild", f)
}

func (s *postgresStore) begin(ctx context.Context, fingerprint string) (*generation, error) {
	if err := s.discard(ctx, stateBuilding); err != nil {
		return nil, err
	}
	g := &generation{fingerprint: fingerprint, dialect: postgresDialect{}, state: stateBuilding}
	err := s.registry.QueryRowContext(ctx, `INSERT INTO `+pgSchema+`.generation (fingerprint, state) VALUES ($1, $2) RETURNING n`, fingerprint, stateBuilding).Scan(&g.n)
	if err != nil {
		return nil, s.failed("register", err)
	}
	// What is written here is flushed with publish's commit, which comes after it in the server's own log.
	g.write, err = postgres.Open(s.place, postgres.Pool{Name: "rebuild", Conns: pgMostCopies,
		Settings: map[string]string{"statement_timeout": "0", "synchronous_commit": "off", "maintenance_work_mem": "256MB",
			// The planner need know little of numbers that ascend; more of a sample costs a page each to read.
			"default_statistics_target": "10"}})
	if err != nil {
		return nil, fmt.Errorf("projections: %w", err)
	}
	g.bulk, g.fills, g.keysLast = g.copyAll, g.copyAhead, true
	statements := []string{"CREATE SCHEMA " + s.schema(g.n)}
	for _, t := range tables {
		// Said of an empty table, or else the key that comes after the rows reads all of them once more to see that it is so.
		// Not by create: every generation that is there would have another fingerprint.
		statements = append(statements, g.dialect.create(g.n, t),
			"ALTER TABLE "+g.name(t)+" ALTER COLUMN "+strings.Join(t.keyNames(), " SET NOT NULL, ALTER COLUMN ")+" SET NOT NULL")
	}
	if _, err := g.write.ExecContext(ctx, strings.Join(statements, ";\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("projections: create generation %d: %w", g.n, err), g.close())
	}
	return g, nil
}

func (s *postgresStore) schema(n int) string { return pgSchema + "_" + strconv.Itoa(n) }

func (s *postgresStore) finish(ctx context.Context, g *generation) error {
	if err := s.grant(ctx, s.schema(g.n)); err != nil {
		return err
	}
	if err := g.write.Close(); err != nil {
		return fmt.Errorf("projections: finish generation %d: %w", g.n, err)
	}
	g.write, g.bulk, g.fills, g.keysLast = nil, nil, nil, false
	return s.connect(g)
}

// settle commits after everything that it speaks of, and is flushed, which flushes that too.
func (s *postgresStore) settle(ctx context.Context, g *generation, record string) error {
	return settleIn(ctx, s.registry, g, pgRegister, record)
}

func (s *postgresStore) board() giveway.Board {
	return giveway.Board{DB: s.registry, Before: pgRegister, Bind: postgresDialect{}.bind}
}

func (s *postgresStore) record(ctx context.Context, g *generation) (string, error) {
	return recordIn(ctx, s.registry, g, pgRegister)
}

// publish takes the live generation's state first: from then on hold refuses whoever would still write to it, so that
// where it stands is where it ends.
func (s *postgresStore) publish(ctx context.Context, g *generation, at eventlog.Position, former string, anyway bool) error {
	tx, err := s.registry.BeginTx(ctx, nil)
	if err != nil {
		return s.failed("publish", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	before := generation{dialect: g.dialect}
	err = tx.QueryRowContext(ctx, `SELECT n FROM `+pgSchema+`.generation WHERE state = $1 FOR UPDATE`, stateLive).Scan(&before.n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s.failed("publish", err)
	}
	if err == nil && !anyway {
		p, err := before.position(ctx, tx)
		if err != nil {
			return err
		}
		if p.at.Compare(at) > 0 {
			return fmt.Errorf("projections: publish generation %d at %s: %w", g.n, at, errBehind)
		}
	}
	if err := switchTo(ctx, tx, g, pgRegister, former); err != nil {
		return err
	}
	if err := s.announce(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return s.failed("publish", err)
	}
	return nil
}

func (s *postgresStore) hold(ctx context.Context, tx *sql.Tx, g *generation) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT n FROM `+pgSchema+`.generation WHERE n = $1 AND state = $2 FOR SHARE`, g.n, g.state).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("projections: generation %d is no longer %q: %w", g.n, g.state, ErrFenced)
	}
	if err != nil {
		return s.failed("hold", err)
	}
	return nil
}

func (s *postgresStore) announce(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `NOTIFY `+pgChannel); err != nil {
		return s.failed("notify", err)
	}
	return nil
}

// tidy does nothing: what a rebuild has left behind is removed by the process that leads, and by the next rebuild.
func (s *postgresStore) tidy(context.Context) error { return nil }

// discard drops each generation in a transaction of its own. One that is being read is dropped another time.
func (s *postgresStore) discard(ctx context.Context, state string) error {
	rows, err := s.registry.QueryContext(ctx, `SELECT n FROM `+pgSchema+`.generation WHERE state = $1`, state)
	if err != nil {
		return s.failed("register", err)
	}
	var ns []int
	for rows.Next() {
		var n int
		if err = rows.Scan(&n); err == nil {
			ns = append(ns, n)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return s.failed("register", err)
	}
	for _, n := range ns {
		err := s.drop(ctx, n)
		if postgres.Code(err) == "55P03" {
			s.logger.Info("a former generation is still being read and stays for now", zap.Int("generation", n))
			continue
		}
		if err != nil {
			return s.failed("drop generation "+strconv.Itoa(n), err)
		}
	}
	return nil
}

func (s *postgresStore) drop(ctx context.Context, n int) error {
	tx, err := s.registry.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+s.schema(n)+` CASCADE`); err != nil {
		return err
	}
	for _, t := range []string{"generation", "written"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+pgRegister+t+` WHERE n = $1`, n); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// How often the position is looked up besides what is announced. Chosen: an announcement that got lost with a connection
// delays a reader no longer than this.
const pgPoll = 2 * time.Second

// watch calls moved whenever another process may have moved the position, and every few seconds besides.
func (s *postgresStore) watch(ctx context.Context, moved func()) {
	dsn, err := postgres.With(s.place, postgres.Pool{Name: "views listener", Settings: map[string]string{"statement_timeout": "0"}})
	if err != nil { // it was good when the store was opened
		return
	}
	l := pq.NewListener(dsn, 100*time.Millisecond, 5*time.Second, nil)
	defer l.Close()
	go func() { _ = l.Listen(pgChannel) }() // it waits for a connection, and is ended by Close
	poll := time.NewTicker(pgPoll)
	defer poll.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-l.Notify: // nil after a reconnection: what was announced meanwhile is lost
		case <-poll.C:
			if n%15 == 0 {
				go func() { _ = l.Ping() }() // makes it notice a connection that is gone
			}
		}
		for drained := false; !drained; { // one look is enough for all of them
			select {
			case <-l.Notify:
			default:
				drained = true
			}
		}
		moved()
	}
}
