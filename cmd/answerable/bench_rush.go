package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// rushResult is the last minute before a deadline: one report of every unit, validated, recorded durably and answered,
// beside the same requests to a handler that only reads them and answers.
type rushResult struct {
	Units           int     `json:"units"`
	Connections     int     `json:"connections"`
	Seconds         float64 `json:"seconds"`
	TrivialSeconds  float64 `json:"trivial_seconds"`
	Times           float64 `json:"times"`
	P50ms           float64 `json:"p50_ms"`
	P99ms           float64 `json:"p99_ms"`
	TrivialP99ms    float64 `json:"trivial_p99_ms"`
	Late            int     `json:"late"`               // judged late although sent before the deadline
	ReceiptLagMaxMs float64 `json:"receipt_lag_max_ms"` // from the client's sending to received_at
}

// rush measures the two in turn. The clock of the ledger is set so that the whole rush lies before the deadline: a
// report judged late would have been judged by when it left a queue.
func (c benchCmd) rush(a *app, dir string) (*rushResult, error) {
	r := &rushResult{Units: c.Units, Connections: c.Callers}
	var seconds, trivials, times, p50, p99, trivialP99 []float64
	for round := range c.Rounds {
		trivial, took, err := c.trivialRush()
		if err != nil {
			return nil, err
		}
		trivials, trivialP99 = append(trivials, trivial), append(trivialP99, ms(quantile(took, 0.99)))
		full, took, err := c.fullRush(a, filepath.Join(dir, "rush-"+strconv.Itoa(round)), r)
		if err != nil {
			return nil, err
		}
		seconds, times = append(seconds, full), append(times, full/trivial)
		p50, p99 = append(p50, ms(quantile(took, 0.5))), append(p99, ms(quantile(took, 0.99)))
	}
	r.Seconds, r.TrivialSeconds, r.Times, r.P50ms, r.P99ms, r.TrivialP99ms = median(seconds), median(trivials), median(times), median(p50), median(p99), median(trivialP99)
	return r, nil
}

func (c benchCmd) trivialRush() (float64, []time.Duration, error) {
	answer := bytes.Repeat([]byte(" "), 600)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a limit, not a service
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		w.Write(answer) //nolint:errcheck // the client counts
	})
	return c.flood(nil, handler, province{regime: "bench", units: c.Units}, "", "2021-02-08", func(int, time.Time, []byte) error { return nil })
}

func (c benchCmd) fullRush(a *app, dir string, r *rushResult) (_ float64, _ []time.Duration, err error) {
	began := time.Now()
	base := time.Date(2021, 2, 8, 3, 0, 0, 0, time.UTC)
	now := func() time.Time { return base.Add(time.Since(began)) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	n, err := a.openNode(a.ctx, dir, now)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, n.close(), os.RemoveAll(dir)) }()
	p := province{regime: "bench", units: c.Units, zone: "Asia/Ho_Chi_Minh", day: "2021-02-08", last: "2021-02-08"}
	if err := p.setUp(a.ctx, n.ledger, now); err != nil {
		return 0, nil, err
	}
	if err := p.open(a.ctx, n.ledger, p.day); err != nil {
		return 0, nil, err
	}
	state, err := appstate.Open(a.ctx, filepath.Join(dir, stateFile), appstate.Options{Clock: now, Logger: a.logger})
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	secret, _, err := state.CreateToken(a.ctx, appstate.NewToken{Person: provinceFiler, Scope: appstate.ScopeWrite})
	if err != nil {
		return 0, nil, err
	}
	handler, err := api.New(api.Config{Ledger: n.ledger, Views: n.views, Log: n.log, Registry: n.registry, State: state, Clock: now,
		Logger: a.logger, Metrics: n.metrics, Version: "bench"})
	if err != nil {
		return 0, nil, err
	}
	stop, err := n.follow(a.ctx) // the views keep up meanwhile, as they do in production
	if err != nil {
		return 0, nil, err
	}
	if err := n.catchUp(a.ctx); err != nil {
		return 0, nil, errors.Join(err, stop())
	}
	var mu sync.Mutex
	seconds, took, err := c.flood(a, handler, p, secret, p.day, func(i int, sent time.Time, body []byte) error {
		var x struct {
			ReceivedAt time.Time `json:"received_at"`
			Report     struct {
				Timeliness domain.Timeliness `json:"timeliness"`
			} `json:"report"`
		}
		if err := json.Unmarshal(body, &x); err != nil {
			return fmt.Errorf("answer for unit %d: %w: %s", i, err, body)
		}
		lag := ms(x.ReceivedAt.Sub(base.Add(sent.Sub(began))))
		mu.Lock()
		defer mu.Unlock()
		r.ReceiptLagMaxMs = max(r.ReceiptLagMaxMs, lag)
		if x.Report.Timeliness != domain.OnTime {
			r.Late++
		}
		return nil
	})
	return seconds, took, errors.Join(err, stop())
}

// flood sends one report of every unit over the connections and answers with the time it took in all and each.
func (c benchCmd) flood(a *app, handler http.Handler, p province, token string, day domain.Date, check func(i int, sent time.Time, body []byte) error) (float64, []time.Duration, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	logger, err := newLogger("error", io.Discard)
	if err != nil {
		return 0, nil, err
	}
	server := api.NewServer(handler, logger)
	go server.Serve(listener) //nolint:errcheck // ends with Close
	defer server.Close()
	transport := &http.Transport{MaxIdleConns: c.Callers, MaxIdleConnsPerHost: c.Callers, MaxConnsPerHost: c.Callers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	ctx := context.Background()
	if a != nil {
		ctx = a.ctx
	}
	took := make([]time.Duration, p.units)
	began := time.Now()
	err = parallel(c.Callers, p.units, func(i int) error {
		url := fmt.Sprintf("http://%s/v1/regimes/%s/reports/commune/%s/%s", listener.Addr(), p.regime, p.unit(i), day)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.body(i, 0)))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Idempotency-Key", strconv.Itoa(i))
		sent := time.Now()
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		took[i] = time.Since(sent)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusCreated {
			return fmt.Errorf("%s: %s: %s", url, answer.Status, body)
		}
		return check(i, sent, body)
	})
	return time.Since(began).Seconds(), took, err
}
