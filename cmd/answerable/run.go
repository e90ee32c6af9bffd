package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
)

// stdio is what a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the whole command line. Each command is a struct whose Run gets the app.
type cli struct {
	Config   string `help:"Settings file, a JSON object; see 'answerable config'." placeholder:"FILE"`
	Lang     string `help:"Language of what people read: vi, en, or auto (the terminal's)." default:"auto" enum:"auto,vi,en"`
	LogLevel string `help:"How much is logged to standard error: debug, info, warn or error." default:"warn" enum:"debug,info,warn,error"`

	Demo        demoCmd        `cmd:"" help:"Replay a made-up week under Directive 03/CT-UBND, then serve it."`
	Serve       serveCmd       `cmd:"" help:"Take reports over HTTP, close the days, keep the views."`
	Init        initCmd        `cmd:"" help:"Create a data directory with its first administrator."`
	Link        linkCmd        `cmd:"" help:"Make a one-time link into a person's account."`
	Token       tokenCmd       `cmd:"" help:"Create, list and revoke API tokens."`
	Import      importCmd      `cmd:"" help:"Take a day's reports from a JSON or CSV file, all or none."`
	History     historyCmd     `cmd:"" help:"What a unit reported for a day, as known at an instant."`
	Answer      answerCmd      `cmd:"" help:"Who is answerable for a unit's figures of a day."`
	Breaches    breachesCmd    `cmd:"" help:"Reports that were missing, late or unsigned."`
	Synthesis   synthesisCmd   `cmd:"" help:"The roll-ups of a day, and what each number is made of."`
	Rebuild     rebuildCmd     `cmd:"" help:"Make the views again from the log, compare, and switch."`
	Verify      verifyCmd      `cmd:"" help:"Check the log and every view against it."`
	Projections projectionsCmd `cmd:"" help:"Where the views stand, and what they could not apply."`
	Schema      schemaCmd      `cmd:"" help:"Check what was released, and begin a new version."`
	Key         keyCmd         `cmd:"" help:"Change the key that signs the transparency log."`
	Receipt     receiptCmd     `cmd:"" help:"Write what proves that an event is in the ledger."`
	Export      exportCmd      `cmd:"" help:"Write every event as a line of CloudEvents JSON."`
	Backup      backupCmd      `cmd:"" help:"Copy a data directory, also one in use."`
	Restore     restoreCmd     `cmd:"" help:"Make a data directory from a backup."`
	Health      healthCmd      `cmd:"" help:"Ask a running server whether it is ready."`
	Bench       benchCmd       `cmd:"" help:"Measure this machine against limits taken in the same run."`
	Settings    configCmd      `cmd:"" name:"config" help:"Show every setting and where its value comes from."`
}

// app is what every command is given.
type app struct {
	ctx      context.Context
	stdio    stdio
	env      map[string]string
	lang     domain.Language
	logger   *zap.Logger
	settings *settings
	now      func() time.Time
	local    bool // everything is in the data directory, whatever servers are set
}

// usageError is a command line that was understood by the parser and still makes no sense.
type usageError struct {
	format string
	args   []any
}

func (e usageError) Error() string { return fmt.Sprintf(e.format, e.args...) }

// in is the error in a language.
func (e usageError) in(lang domain.Language) string {
	if w, ok := usageWords()[e.format]; ok && lang == domain.Vietnamese {
		e.format = w
	}
	return e.Error()
}

func usagef(format string, args ...any) error { return usageError{format, args} }

// errFailed is a command that has already printed why it failed.
var errFailed = errors.New("failed")

// exited unwinds the parser, which ends the process after --help; tests call run in theirs.
type exited int

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args, environ []string, io stdio) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	env := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			env[k] = v
		}
	}
	var c cli
	s, err := readSettings(args, env)
	lang := askedLanguage(args, s, env)
	if err == nil {
		var parser *kong.Kong
		parser, err = kong.New(&c, kong.Name("answerable"), kong.Writers(io.out, io.err), kong.Resolvers(s),
			kong.Description(description), kong.Help(printHelp(lang)),
			kong.Exit(func(n int) { panic(exited(n)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}))
		if err == nil {
			if lang == domain.Vietnamese {
				translate(parser.Model)
			}
			if len(args) == 0 {
				args = []string{"--help"}
			}
			var parsed *kong.Context
			if parsed, err = parser.Parse(args); err == nil {
				s.take(parsed)
				return finish(io, detectLanguage(c.Lang, env), execute(ctx, c, parsed, s, env, io))
			}
		}
	}
	try := "Try 'answerable --help'."
	if lang == domain.Vietnamese {
		try = "Xem 'answerable --help'."
	}
	fmt.Fprintf(io.err, "answerable: %s\n%s\n", misunderstood(err, lang), try)
	return exitUsage
}

func execute(ctx context.Context, c cli, parsed *kong.Context, s *settings, env map[string]string, io stdio) error {
	logger, err := newLogger(c.LogLevel, io.err)
	if err != nil {
		return err
	}
	defer logger.Sync() //nolint:errcheck // standard error may not be syncable
	return parsed.Run(&app{ctx: ctx, stdio: io, env: env, lang: detectLanguage(c.Lang, env), logger: logger, settings: s, now: time.Now})
}

func finish(io stdio, lang domain.Language, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(io.err, "answerable: %s\n", usage.in(lang))
		return exitUsage
	}
	fmt.Fprintf(io.err, "answerable: %s\n", explain(err, lang))
	return exitFailed
}
