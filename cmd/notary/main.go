// Command notary is the outsider's tool: it checks receipts and whole logs without trusting whoever runs the ledger, and
// it runs a witness.
//
// Its promise: everything it says follows from the files it was given and the keys in the policy file; it links no store
// and no server of the ledger, needs no network to verify a receipt, and exits 0 only when all that was asked is proved.
//
// Its failure model: what cannot be read, or does not hold, is said in words with the first bad place, exit code 1; a
// command that was put wrongly is exit code 2.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/answerable-ledger/answerable/transparency"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// env is what a command sees of the world.
type env struct {
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	words    words
	json     bool
}

type cli struct {
	Lang string `help:"Language of the verdict: vi or en. Default: from LC_ALL, LC_MESSAGES or LANG." enum:",vi,en" default:""`
	JSON bool   `name:"json" help:"Print one JSON object instead of text."`

	Verify  verifyCmd  `cmd:"" help:"Verify a receipt, offline. Example: notary verify bien-nhan.tlog-proof --policy policy.txt --not-after 2021-09-24T15:00:00+07:00"`
	Audit   auditCmd   `cmd:"" help:"Check a whole log, from its address or an exported folder. Example: notary audit https://ledger.example/log --policy policy.txt"`
	Witness witnessCmd `cmd:"" help:"Run a witness that cosigns checkpoints. Example: notary witness --key witness.key --dir /var/lib/notary --log 'ledger.example/x+…'"`
	Key     keyCmd     `cmd:"" help:"Make a witness key and print its public half. Example: notary key witness.example/tinh witness.key"`
}

// failed ends a command with exit code 1 after it has said why.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, time.Now)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, now func() time.Time) (code int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("notary"),
		kong.Description("Checks receipts and logs of an answerable ledger without trusting whoever runs it."),
		kong.Writers(stdout, stderr), kong.Exit(func(n int) { exited = n }), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(stderr, "notary:", err)
		return exitUsage
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "notary:", err)
		return exitUsage
	}
	e := &env{out: stdout, err: stderr, getenv: getenv, now: now, words: english, json: c.JSON}
	if language(c.Lang, getenv) == "vi" {
		e.words = vietnamese
	}
	k.BindTo(ctx, (*context.Context)(nil))
	switch err := k.Run(e); {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "notary:", err)
		return exitUsage
	case !errors.Is(err, errFailed):
		fmt.Fprintln(stderr, "notary:", err)
	}
	return exitFailed
}

var errUsage = errors.New("usage")

func language(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if len(v) >= 2 && v[:2] == "vi" {
				return "vi"
			}
			return "en"
		}
	}
	return "en"
}

// stateDir is where checkpoints seen before are remembered.
func stateDir(flag string, getenv func(string) string) (string, error) {
	switch {
	case flag != "":
		return flag, nil
	case getenv("XDG_STATE_HOME") != "":
		return filepath.Join(getenv("XDG_STATE_HOME"), "notary"), nil
	case getenv("HOME") != "":
		return filepath.Join(getenv("HOME"), ".local", "state", "notary"), nil
	case getenv("LOCALAPPDATA") != "":
		return filepath.Join(getenv("LOCALAPPDATA"), "notary"), nil
	}
	return "", fmt.Errorf("no folder to remember checkpoints in: give --state FOLDER, or --forget: %w", errUsage)
}

func readPolicy(path string) (*transparency.Policy, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errUsage)
	}
	p, err := transparency.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, err, errUsage)
	}
	return p, nil
}

type keyCmd struct {
	Name string `arg:"" help:"The witness's name, an address without https://, such as witness.example/tinh."`
	File string `arg:"" help:"File for the private key; it must not exist."`
}

func (c *keyCmd) Run(e *env) error {
	k, err := transparency.CreateSigningKey(c.File, c.Name, transparency.AlgCosignatureV1)
	if err != nil {
		return err
	}
	fmt.Fprintln(e.out, k.String())
	return nil
}
