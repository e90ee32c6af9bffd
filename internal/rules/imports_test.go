package rules

import (
	"slices"
	"strings"
	"testing"
)

// row says which packages of ours a package may import, and why no more. tests are those its tests may import besides.
type row struct {
	pkg, imports, tests, why string
}

// imports go one way. A package that is not in this table fails; rows of packages to come are fine.
var imports = []row{
	{"domain", "", "",
		"what may happen must not depend on how anything is stored, sent or shown"},
	{"domain/domaintest", "domain", "",
		"worlds and attempts for the tests of every layer, so it may know none of them"},
	{"schemas", "domain", "",
		"the bytes of a fact are made from its meaning and from nothing else"},
	{"schemas/release", "schemas", "",
		"judges files by what reads them"},
	{"intake", "domain schemas", "",
		"what a unit sends becomes a submission before anything is known of the ledger"},
	{"eventlog", "", "",
		"the log stores bytes and names; it knows nothing of the domain"},
	{"eventlog/eventlogtest", "eventlog", "",
		"the suite is the contract: it may know no store"},
	{"eventlog/memlog", "eventlog", "",
		"stores share no code, only the suite"},
	{"eventlog/sqlite", "eventlog", "",
		"stores share no code, only the suite"},
	{"eventlog/esdb", "eventlog", "eventlog/esdb/esdbtest",
		"stores share no code, only the suite"},
	{"eventlog/esdb/esdbtest", "", "",
		"a server of the foreign protocol must not learn what ours expects of it"},
	{"eventlog/esdb/esdbtest/cmd", "eventlog/esdb/esdbtest", "",
		"that server as a program"},
	{"transparency", "eventlog", "",
		"it hashes recorded bytes, not their meaning: a bug in the domain cannot change a proof"},
	{"transparency/treestore", "eventlog internal/postgres transparency", "internal/pgtest internal/smalldisk",
		"keeps hashes, by the log's positions"},
	{"transparency/witness", "transparency", "",
		"a witness trusts nobody's ledger, so it links none"},
	{"transparency/sequencer", "eventlog transparency transparency/treestore transparency/witness", "internal/pgtest",
		"gives each event its leaf, the same for every store"},
	{"transparency/receipts", "eventlog transparency transparency/treestore", "domain eventlog/sqlite transparency/sequencer",
		"finds an event's entry; it is given who makes entries"},
	{"signing", "", "",
		"judges a signature by itself, so that an outsider can link it too"},
	{"signing/enroll", "signing", "",
		"takes up a browser's credential, which needs formats that judging does not"},
	{"signing/enrolled", "domain signing", "",
		"judges a sign-off by what its signer has enrolled"},
	{"commands", "domain schemas eventlog", "",
		"what is decided must not depend on a view, which may be behind"},
	{"internal/postgres", "", "internal/pgtest",
		"reaches a server; it knows no table"},
	{"projections/giveway", "", "",
		"it hears how long reads take, and knows no view"},
	{"projections/sqlitepages", "", "",
		"a file's format; it knows no row"},
	{"projections", "domain schemas eventlog internal/postgres projections/giveway projections/sqlitepages", "internal/pgtest schemas commands examples/binhduong-2021",
		"views are made from facts alone, so that a replay gives them again; tests may make facts by real commands"},
	{"documents", "domain eventlog projections transparency transparency/receipts transparency/treestore", "schemas",
		"what goes out shows answers and evidence, and opens no store itself"},
	{"accounts", "accounts/passkey appstate commands domain signing signing/enroll", "eventlog schemas internal/oidctest",
		"who signs in, with which key; what is to be remembered for ever it records by commands, like everybody"},
	{"accounts/passkey", "signing signing/enroll", "",
		"a browser's credential by itself, without knowing whose account it opens"},
	{"appstate", "domain internal/postgres", "internal/pgtest internal/smalldisk",
		"tokens, keys and the access log are not the record and may not lean on it"},
	{"api/access", "domain", "",
		"one judgement for both sides' doors, by the ledger's streams and no view"},
	{"api", "accounts accounts/passkey api/access api/ui appstate commands documents domain eventlog intake projections schemas signing signing/enroll transparency transparency/receipts transparency/sequencer transparency/treestore", "signing/enrolled examples/binhduong-2021 eventlog/sqlite",
		"routes may use every layer but no store: which store runs is the program's choice"},
	{"api/ui", "domain projections", "",
		"pages show the answers of the read side; a page that called a layer could not be tested alone"},
	{"api/web", "accounts api/access api/ui appstate commands documents domain eventlog intake projections schemas transparency/receipts", "api bench/province signing/enrolled transparency transparency/sequencer transparency/treestore internal/oidctest",
		"the people's pages ask the same commands and views as the routes do, and never each other's handlers"},
	{"examples/binhduong-2021", "domain", "schemas",
		"the demonstration's input: rules, roster and cases, to be played by the program's own commands"},
	{"examples/binhduong-2021/replay", "commands domain eventlog examples/binhduong-2021", "schemas",
		"the story comes in by the ledger's own commands, whatever log that has"},
	{"cmd/answerable", "accounts accounts/passkey api api/ui api/web appstate bench commands documents domain eventlog eventlog/esdb eventlog/memlog eventlog/sqlite examples/binhduong-2021 examples/binhduong-2021/replay intake internal/postgres projections schemas schemas/release signing signing/enroll signing/enrolled transparency transparency/receipts transparency/sequencer transparency/treestore transparency/witness", "bench/province eventlog/esdb/esdbtest internal/pgtest internal/smalldisk",
		"the wiring: the one place that knows every part"},
	{"cmd/notary", "signing transparency transparency/witness", "eventlog transparency/sequencer transparency/treestore",
		"the outsider's tool links no store and no server, so that it can be read and trusted alone"},
	{"bench", "api api/web accounts appstate bench/province commands domain eventlog eventlog/sqlite projections schemas", "",
		"measures what the program runs, put together as the program does it"},
	{"bench/province", "accounts appstate commands domain", "",
		"a made-up load comes in by the ledger's own commands"},
	{"internal/pgtest", "internal/smalldisk", "",
		"a server for tests"},
	{"internal/smalldisk", "", "",
		"a disk for tests, whatever lies on it"},
	{"internal/oidctest", "", "",
		"a provider for tests, which must not learn what ours expects of it"},
	{"internal/rules", "", "",
		"looks at the code from outside"},
}

// doubles are for tests only. What runs in earnest never links them.
var doubles = []string{"domain/domaintest", "eventlog/eventlogtest", "eventlog/esdb/esdbtest", "internal/pgtest", "internal/smalldisk", "internal/oidctest"}

func ours(paths []string) []string {
	var out []string
	for _, p := range paths {
		if p == module || strings.HasPrefix(p, module+"/") {
			out = append(out, strings.TrimPrefix(p, module+"/"))
		}
	}
	return out
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	rows := map[string]row{}
	for _, r := range imports {
		if _, twice := rows[r.pkg]; twice || r.why == "" {
			t.Errorf("%s: listed twice, or without a reason", r.pkg)
		}
		rows[r.pkg] = r
	}
	for _, p := range theTree(t).packages {
		r, ok := rows[p.path()]
		if !ok {
			t.Errorf("%s is not in the table of imports: add it, with the reason", p.path())
			continue
		}
		allowed := strings.Fields(r.imports)
		for _, i := range ours(p.Imports) {
			if !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s: %s", r.pkg, i, r.why)
			}
		}
		// Any test may use the doubles, the store in memory, and its own package from outside.
		allowed = append(append(allowed, strings.Fields(r.tests)...), r.pkg, "domain/domaintest", "eventlog/eventlogtest", "eventlog/memlog")
		for _, i := range ours(append(p.TestImports, p.XTestImports...)) {
			if !slices.Contains(allowed, i) {
				t.Errorf("the tests of %s import %s: %s", r.pkg, i, r.why)
			}
		}
	}
}

func TestDoublesAreForTests(t *testing.T) {
	t.Parallel()
	for _, p := range theTree(t).packages {
		if slices.ContainsFunc(doubles, func(d string) bool { return under(p.path(), d) }) {
			continue
		}
		for _, d := range ours(p.Deps) {
			if slices.Contains(doubles, d) {
				t.Errorf("%s links %s, which is for tests", p.path(), d)
			}
		}
	}
}

func TestProgramsAreImportedByNobody(t *testing.T) {
	t.Parallel()
	for _, p := range theTree(t).packages {
		for _, i := range ours(append(append(p.Imports, p.TestImports...), p.XTestImports...)) {
			if i != p.path() && (under(i, "cmd") || strings.HasSuffix(i, "/cmd")) {
				t.Errorf("%s imports the program %s", p.path(), i)
			}
		}
	}
}

// TestWhatAPackageNeverLinks follows all imports of our packages and of the stores' modules; of the standard library, which
// others' modules link for purposes of their own, it looks at what the package itself imports.
func TestWhatAPackageNeverLinks(t *testing.T) {
	t.Parallel()
	for _, never := range []struct{ pkg, links, why string }{
		{"domain", "os net net/http database/sql log log/slog encoding/json go.uber.org/zap", "no input or output, no storage, no logging: the same facts give the same state everywhere"},
		{"schemas", "database/sql net/http go.uber.org/zap", "bytes and meaning only"},
		{"transparency", module + "/domain " + module + "/schemas database/sql", "it hashes bytes, not meaning"},
		{"cmd/notary", module + "/api " + module + "/eventlog/sqlite " + module + "/eventlog/esdb " + module + "/domain modernc.org/sqlite zombiezen.com/go/sqlite database/sql",
			"the outsider's tool links no store and no server of ours"},
		{"commands", module + "/projections net/http database/sql", "what is decided depends on the log alone"},
		{"projections", module + "/commands " + module + "/api", "views depend on facts alone"},
		{"api/ui", "database/sql", "pages show what they are given"},
	} {
		for _, p := range theTree(t).packages {
			if p.path() != never.pkg {
				continue
			}
			for _, x := range strings.Fields(never.links) {
				if slices.Contains(p.Imports, x) || strings.Contains(x, ".") && slices.Contains(p.Deps, x) {
					t.Errorf("%s links %s: %s", never.pkg, x, never.why)
				}
			}
		}
	}
}

// modules of others, each for one thing in the places named. What is not listed is not imported.
var modules = []struct{ path, packages, why string }{
	{"github.com/EventStore/EventStore-Client-Go/v4", "eventlog/esdb eventlog/esdb/esdbtest", "the log in production"},
	{"google.golang.org/grpc", "eventlog/esdb eventlog/esdb/esdbtest", "the transport of that log, for its errors and its test server"},
	{"google.golang.org/protobuf", "eventlog/esdb eventlog/esdb/esdbtest", "the messages of that log"},
	{"github.com/ThreeDotsLabs/watermill", "projections", "drives the views: one message is one batch"},
	{"github.com/lib/pq", "internal/postgres projections internal/pgtest", "PostgreSQL, for the views and the program's state"},
	{"github.com/santhosh-tekuri/jsonschema/v5", "schemas", "one wrapper file judges JSON Schemas"},
	{"go.uber.org/zap", "api appstate bench cmd/answerable commands projections transparency eventlog/esdb documents", "logging, passed in; never the record"},
	{"modernc.org/sqlite", "appstate cmd/answerable projections", "SQLite through database/sql, for views and the program's own state"},
	{"zombiezen.com/go/sqlite", "eventlog/sqlite transparency/treestore", "the same SQLite without database/sql, for the log: it scans twice as fast"},
	{"golang.org/x/mod", "transparency cmd/notary", "the Merkle tree of tlog, and its notes"},
	{"github.com/danielgtaylor/huma/v2", "api", "OpenAPI from the routes"},
	{"github.com/alecthomas/kong", "cmd", "command lines"},
	{"github.com/go-webauthn/webauthn", "accounts signing", "enrols a browser's credential"},
	{"github.com/coreos/go-oidc/v3", "accounts", "judges what a provider of OpenID Connect signed"},
	{"golang.org/x/oauth2", "accounts", "asks that provider"},
	{"github.com/smallstep/pkcs7", "", "another implementation of CMS, in tests"},
	{"github.com/jba/templatecheck", "", "templates against the structs they are filled from, in tests"},
	{"github.com/xuri/excelize/v2", "intake documents", "spreadsheets in and out"},
	{"github.com/emersion/go-smtp", "intake api cmd/answerable", "mail in"},
	{"github.com/emersion/go-message", "intake cmd/answerable", "mail in"},
	{"github.com/emersion/go-msgauth", "intake cmd/answerable", "who sent the mail"},
	{"codeberg.org/go-pdf/fpdf", "documents", "PDF out"},
	{"github.com/prometheus/client_golang", "api bench cmd/answerable projections commands eventlog transparency appstate", "metrics, in a registry that is passed in"},
	{"golang.org/x/text", "accounts api cmd domain intake projections schemas documents internal/rules examples", "Unicode normal forms, collation"},
	{"golang.org/x/sys", "eventlog/sqlite transparency cmd appstate", "locks on files"},
	{"golang.org/x/term", "cmd", "what the terminal can show"},
	{"golang.org/x/sync", "api commands projections transparency cmd eventlog", "groups of goroutines"},
	{"golang.org/x/crypto", "accounts api appstate transparency cmd", "password hashes and key formats"},
	{"github.com/mattn/go-isatty", "cmd", "what the terminal can show"},
	{"github.com/google/uuid", "api appstate bench cmd commands domain eventlog examples projections schemas signing transparency intake documents", "ids of events and commands"},
	{"github.com/go-json-experiment/json", "api appstate bench cmd commands documents examples intake projections schemas signing transparency", "JSON that refuses duplicate members and is the same twice"},
	{"github.com/descope/virtualwebauthn", "", "a browser and its passkey, in tests"},
	{"github.com/google/go-cmp", "eventlog/eventlogtest", "differences in tests, and in the suite for stores"},
	{"pgregory.net/rapid", "eventlog/eventlogtest", "properties in tests, and in the suite for stores"},
	{"github.com/rogpeppe/go-internal", "", "scripts against the real programs, in tests"},
	{"github.com/chromedp/chromedp", "", "a browser, in tests"},
	{"github.com/chromedp/cdproto", "", "a browser, in tests"},
	{"github.com/compose-spec/compose-go/v2", "", "what compose makes of docker-compose.yml, in tests"},
	{"github.com/transparency-dev/", "", "another implementation of the public formats, in tests"},
	{"rsc.io/qr", "api/web", "the code on a receipt's slip"},
	{"golang.org/x/net", "api", "HTML in tests, HTTP/2 settings"},
}

func TestModulesAreForOneThing(t *testing.T) {
	t.Parallel()
	find := func(path string) int {
		for i, m := range modules {
			if under(path, strings.TrimSuffix(m.path, "/")) {
				return i
			}
		}
		return -1
	}
	for _, p := range theTree(t).packages {
		for _, i := range p.Imports {
			if !strings.Contains(strings.Split(i, "/")[0], ".") || under(i, module) {
				continue
			}
			n := find(i)
			if n < 0 {
				t.Errorf("%s imports %s, which is not in the table of modules", p.path(), i)
			} else if m := modules[n]; !slices.ContainsFunc(strings.Fields(m.packages), func(x string) bool {
				return p.path() == x || !strings.Contains(x, "/") && under(p.path(), x)
			}) && !slices.Contains(strings.Fields(m.packages), p.path()) {
				t.Errorf("%s imports %s, which is for %s (%s)", p.path(), i, m.packages, m.why)
			}
		}
		for _, i := range append(p.TestImports, p.XTestImports...) {
			if strings.Contains(strings.Split(i, "/")[0], ".") && !under(i, module) && find(i) < 0 {
				t.Errorf("the tests of %s import %s, which is not in the table of modules", p.path(), i)
			}
		}
	}
}
