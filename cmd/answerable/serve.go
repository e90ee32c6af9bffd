package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/api/web"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
)

type serveCmd struct {
	Data   string `help:"Data directory, made by init." required:"" placeholder:"DIR"`
	Listen string `help:"Address to serve on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Site   string `help:"Address that people's browsers use, https://…; for ever, since passkeys belong to its name. On this machine alone it is http://localhost and the port." placeholder:"URL"`

	WithoutEvidence bool `help:"Serve although the transparency log cannot go on: record, and give no receipts, until it was mended."`
}

func (serveCmd) Help() string {
	return `Takes reports, signatures and the rest over HTTP, opens and closes the days by itself, keeps the views. Ends on SIGINT and SIGTERM after the requests under way; may be killed at any instant.

Example:
  answerable serve --data ./ledger --listen 0.0.0.0:8080`
}

func (c serveCmd) Run(a *app) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	var n *node
	err = a.whenThere(a.ctx, func() error { n, err = a.openExisting(a.ctx, c.Data); return err })
	if err != nil {
		return err
	}
	return a.serveNode(n, listener, serving{closing: true, withoutEvidence: c.WithoutEvidence, pagesOf: pagesOf{site: siteOf(c.Site, listener)}})
}

// serving is how a node is served.
type serving struct {
	demo    bool // the pages are open, and marked as synthetic
	closing bool // the days are opened and closed

	withoutEvidence bool // nothing is signed
	pagesOf
}

// shutdownTime is how long requests under way may take after the process was told to end.
const shutdownTime = 10 * time.Second

// serveNode serves until the app's context ends, and closes the node.
func (a *app) serveNode(n *node, listener net.Listener, how serving) (err error) {
	defer func() { err = errors.Join(err, n.close()) }()
	var state *appstate.State
	if err := a.whenThere(a.ctx, func() error { state, err = a.openState(a.ctx, n.dir); return err }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()

	var proof *signer
	if !how.withoutEvidence {
		proof, err = a.openSigner(a.ctx, n)
		defer func() { err = errors.Join(err, proof.close()) }()
		if err != nil {
			return err
		}
	}
	if proof == nil {
		a.logger.Warn("no evidence is made: nothing of what is recorded can be proved to outsiders", zap.String("data", n.dir))
	}
	// Sign-offs are judged with and without a log of them.
	place, _, err := readEvidence(n.dir)
	if err != nil {
		return err
	}
	if place.Signing, err = signingAt(place.Signing, how.site); err != nil {
		return err
	}
	if err := n.judgeSignatures(place); err != nil {
		return err
	}

	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := api.Config{Ledger: n.ledger, Views: n.views, Rebuilds: n.views, Log: n.log, Registry: n.registry, State: state, Clock: n.now,
		Logger: a.logger, Metrics: n.metrics, Version: version(), Demo: how.demo}
	if proof != nil {
		config.Evidence, config.EvidenceTrouble = proof, proof.Trouble
	}
	handler, err := api.New(config)
	if err != nil {
		return err
	}
	look := a.newInspection(n, proof, place)
	defer look.close()
	site, who, err := a.withPages(n, state, look, how, place.Signing, handler)
	if err != nil {
		return err
	}
	server := api.NewServer(site, a.logger)
	server.RegisterOnShutdown(handler.CloseFeeds)
	if pages, ok := site.(*web.Handler); ok {
		server.RegisterOnShutdown(pages.CloseFeeds)
	}

	// The background work ends after the server, so that what a request waits for goes on until it is answered.
	background, stop := context.WithCancel(context.WithoutCancel(a.ctx))
	defer stop()
	failed := make(chan error, 5)
	running := 3
	if proof != nil {
		running++
		go func() { failed <- nameError("evidence", proof.run(background)) }()
	}
	closing := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	if how.closing {
		closing = func(ctx context.Context) error {
			closer := &commands.Closer{Ledger: n.ledger, Digest: n.digest, Stepped: func(context.Context, commands.Step) {
				if proof != nil {
					proof.step()
				}
			}}
			return nameError("closing", closer.Run(ctx, waitUntil))
		}
	}
	go func() { failed <- nameError("views", n.views.Lead(background, closing)) }()
	go func() { failed <- nameError("accounts", a.reconcile(background, who)) }()
	go func() { failed <- nameError("log", a.checkLog(background, n.log)) }()
	go func() { failed <- nameError("http", server.Serve(listener)) }()
	a.printf("Đang phục vụ tại http://%s (Ctrl+C để dừng)\n", "Serving on http://%s (Ctrl+C ends it)\n", listener.Addr())
	a.logger.Info("serving", zap.String("address", listener.Addr().String()), zap.String("data", n.dir))

	select {
	case <-a.ctx.Done():
	case err = <-failed: // one part ended by itself: the process would be half of itself
		running--
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), shutdownTime)
	defer cancel()
	if e := server.Shutdown(ctx); e != nil { // open feeds do not end by themselves
		a.logger.Info("cutting connections", zap.Error(e))
		server.Close()
	}
	stop()
	for range running + 1 {
		select {
		case e := <-failed:
			err = errors.Join(err, e)
		case <-ctx.Done():
			return errors.Join(err, errors.New("a part of the process did not end in time"))
		}
	}
	return err
}

// nameError says which part of the process ended with an error; ending because it was told to is none.
func nameError(part string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}

// waitUntil blocks until an instant of the machine's clock.
func waitUntil(ctx context.Context, until time.Time) error {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// version is the program's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
