package bench

import (
	"bytes"
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
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/domain"
)

// Rush is the last minute before a deadline: one report of every unit, validated, recorded durably and answered,
// beside the same requests to a handler that only reads them and answers.
type Rush struct {
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
func (r *run) rush(dir string) (*Rush, error) {
	x := &Rush{Units: r.Units, Connections: r.Callers}
	var seconds, trivials, times, p50, p99, trivialP99 []float64
	for round := range r.Rounds {
		trivial, took, err := r.trivialRush()
		if err != nil {
			return nil, err
		}
		trivials, trivialP99 = append(trivials, trivial), append(trivialP99, ms(quantile(took, 0.99)))
		full, took, err := r.fullRush(filepath.Join(dir, "rush-"+strconv.Itoa(round)), x)
		if err != nil {
			return nil, err
		}
		seconds, times = append(seconds, full), append(times, full/trivial)
		p50, p99 = append(p50, ms(quantile(took, 0.5))), append(p99, ms(quantile(took, 0.99)))
	}
	x.Seconds, x.TrivialSeconds, x.Times, x.P50ms, x.P99ms, x.TrivialP99ms = median(seconds), median(trivials), median(times), median(p50), median(p99), median(trivialP99)
	return x, nil
}

func (r *run) trivialRush() (float64, []time.Duration, error) {
	answer := bytes.Repeat([]byte(" "), 600)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a limit, not a service
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		w.Write(answer) //nolint:errcheck // the client counts
	})
	return r.flood(handler, province.Province{Regime: "bench", Units: r.Units}, "", "2021-02-08", func(int, time.Time, []byte) error { return nil })
}

func (r *run) fullRush(dir string, x *Rush) (_ float64, _ []time.Duration, err error) {
	began := time.Now()
	base := time.Date(2021, 2, 8, 3, 0, 0, 0, time.UTC)
	now := func() time.Time { return base.Add(time.Since(began)) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	n, err := r.openNode(dir, now)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, n.close(), os.RemoveAll(dir)) }()
	p := province.Province{Regime: "bench", Units: r.Units, Zone: "Asia/Ho_Chi_Minh", Day: "2021-02-08", Last: "2021-02-08"}
	if err := p.SetUp(r.ctx, n.ledger, now); err != nil {
		return 0, nil, err
	}
	if err := p.Open(r.ctx, n.ledger, p.Day); err != nil {
		return 0, nil, err
	}
	state, err := appstate.Open(r.ctx, filepath.Join(dir, stateFile), appstate.Options{Clock: now, Logger: r.Logger})
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	secret, _, err := state.CreateToken(r.ctx, appstate.NewToken{Person: province.Filer, Scope: appstate.ScopeWrite})
	if err != nil {
		return 0, nil, err
	}
	handler, err := api.New(api.Config{Ledger: n.ledger, Views: n.views, Log: n.log, Registry: n.registry, State: state, Clock: now,
		Logger: r.Logger, Metrics: n.metrics, Version: "bench"})
	if err != nil {
		return 0, nil, err
	}
	stop := n.follow(r.ctx) // the views keep up meanwhile, as they do in production
	if err := n.catchUp(r.ctx); err != nil {
		return 0, nil, errors.Join(err, stop())
	}
	var mu sync.Mutex
	seconds, took, err := r.flood(handler, p, secret, p.Day, func(i int, sent time.Time, body []byte) error {
		var answer struct {
			ReceivedAt time.Time `json:"received_at"`
			Report     struct {
				Timeliness domain.Timeliness `json:"timeliness"`
			} `json:"report"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return fmt.Errorf("answer for unit %d: %w: %s", i, err, body)
		}
		lag := ms(answer.ReceivedAt.Sub(base.Add(sent.Sub(began))))
		mu.Lock()
		defer mu.Unlock()
		x.ReceiptLagMaxMs = max(x.ReceiptLagMaxMs, lag)
		if answer.Report.Timeliness != domain.OnTime {
			x.Late++
		}
		return nil
	})
	return seconds, took, errors.Join(err, stop())
}

// flood sends one report of every unit over the connections and answers with the time it took in all and each.
func (r *run) flood(handler http.Handler, p province.Province, token string, day domain.Date, check func(i int, sent time.Time, body []byte) error) (float64, []time.Duration, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	server := api.NewServer(handler, zap.NewNop())
	go server.Serve(listener) //nolint:errcheck // ends with Close
	defer server.Close()
	transport := &http.Transport{MaxIdleConns: r.Callers, MaxIdleConnsPerHost: r.Callers, MaxConnsPerHost: r.Callers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	took := make([]time.Duration, p.Units)
	began := time.Now()
	err = p.Each(r.Callers, func(i int) error {
		url := fmt.Sprintf("http://%s/v1/regimes/%s/reports/commune/%s/%s", listener.Addr(), p.Regime, p.Unit(i), day)
		request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, url, bytes.NewReader(p.Body(i, 0)))
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
