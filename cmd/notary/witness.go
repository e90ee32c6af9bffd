package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

type witnessCmd struct {
	Listen string   `help:"Address to listen on." default:"127.0.0.1:7450"`
	Dir    string   `required:"" help:"Folder of the witness's memory. It must never be put back from a backup."`
	Key    string   `required:"" help:"File of the private key (notary key makes one)."`
	Log    []string `required:"" sep:"none" help:"Public key of a log to cosign for; may be given more than once, twice for a log that changes its key."`
}

const (
	// requestTimeout bounds a client that sends slowly; a request has a few kilobytes.
	requestTimeout = 10 * time.Second
	// closeTimeout is how long requests under way may take when the program is told to end.
	closeTimeout = 5 * time.Second
)

func (c *witnessCmd) Run(ctx context.Context, e *env) error {
	key, err := transparency.LoadSigningKey(c.Key)
	if err != nil {
		return err
	}
	var logs []transparency.VerifierKey
	for _, s := range c.Log {
		k, err := transparency.ParseVerifierKey(s)
		if err != nil {
			return fmt.Errorf("--log: %w: %w", err, errUsage)
		}
		if k.Alg != transparency.AlgEd25519 {
			return fmt.Errorf("--log %s: it is a witness's key: %w", k.Name, errUsage)
		}
		logs = append(logs, k)
	}
	w, err := witness.New(witness.Options{Dir: c.Dir, Key: key, Logs: logs, Now: e.now, Log: func(line string) { fmt.Fprintln(e.err, line) }})
	if err != nil {
		return err
	}
	defer w.Close()
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "witness %s\nlistening on http://%s\n", key.String(), l.Addr())
	server := &http.Server{Handler: w.Handler(), ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := server.Shutdown(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
