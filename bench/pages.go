package bench

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/web"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/domain"
)

// Page is one page at the full size of the log, asked for over a socket by a person who is signed in.
type Page struct {
	Page       string  `json:"page"`
	Events     int64   `json:"events"`
	P50ms      float64 `json:"first_byte_p50_ms"`
	P99ms      float64 `json:"first_byte_p99_ms"`
	Bytes      int     `json:"bytes"`
	Compressed int     `json:"compressed_bytes"`
	WantedMs   int     `json:"wanted_ms"`
}

// gridDays is how many days the measured grid shows: the length of the directive of 2021.
const gridDays = 45

// pages measures the grid of the units of one district, as known now, at each deadline and at each synthesis, and the searches,
// and weighs the other pages of an inspector.
func (r *run) pages(n *node, p province.Province, last domain.Date, days int, events int64) (_ []Page, err error) {
	state, err := appstate.Open(r.ctx, filepath.Join(n.dir, stateFile), appstate.Options{Clock: n.now, Logger: r.Logger})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	site := "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) // by its name: cookies and passwords need one
	who, err := accounts.New(n.ledger, state, accounts.Options{Origin: site, Name: "bench", Clock: n.now})
	if err != nil {
		return nil, err
	}
	handler, err := web.New(web.Config{Ledger: n.ledger, Views: n.views, Registry: n.registry, Accounts: who, State: state, Clock: n.now, Logger: r.Logger, Log: n.log, Next: http.NotFoundHandler()})
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		e := server.Close()
		if s := <-served; !errors.Is(s, http.ErrServerClosed) {
			e = errors.Join(e, s)
		}
		err = errors.Join(err, e)
	}()
	client, err := province.SignIn(r.ctx, n.ledger, state, n.now, site)
	if err != nil {
		return nil, err
	}
	first := max(p.Day, last.AddDays(1-gridDays))
	span := url.Values{"from": {string(first)}, "to": {string(last)}}.Encode()
	week := url.Values{"from": {string(max(p.Day, last.AddDays(-6)))}, "to": {string(last)}}.Encode()
	var out []Page
	for _, x := range []struct {
		name, path string
		wanted     int
	}{
		{fmt.Sprintf("grid of %d units by %d days", min(p.Units, 100), min(days, gridDays)), "/grid?unit=" + string(p.District(0)) + "&" + span, 100},
		{"the same as known at the deadlines", "/grid?known=deadline&unit=" + string(p.District(0)) + "&" + span, 100},
		{"the same as known at the syntheses", "/grid?known=synthesis&unit=" + string(p.District(0)) + "&" + span, 100},
		{"search: changed after the deadline, a week", "/search?what=changed&" + week, 100},
		{"search: signed by a deputy, a week", "/search?what=deputy&" + week, 100},
		{"search: the head changed, a week", "/search?what=head_changed&" + week, 100},
		// These are weighed: nothing is wanted of their first byte.
		{"breaches", "/judgements?" + span, 0},
		{"synthesis", "/totals?date=" + string(last), 0},
		{"synthesis of a district", "/totals?form=commune&date=" + string(last) + "&unit=" + string(p.District(0)), 0},
		{"a number of the synthesis, taken apart", "/chain?form=commune&field=installed&date=" + string(last), 0},
		{"the same of a district", "/chain?form=commune&field=installed&date=" + string(last) + "&unit=" + string(p.District(0)), 0},
		{"grid of the province", "/grid?" + week, 0},
		{"units to inspect", "/inspect?date=" + string(last), 0},
		{"target progress", "/progress?date=" + string(last), 0},
		{"a unit's report", "/reports/" + string(p.District(0)) + "/" + string(last), 0},
		{"organisation", "/organisation", 0},
	} {
		one := Page{Page: x.name, Events: events, WantedMs: x.wanted}
		var took []time.Duration
		for i := range 33 {
			d, plain, packed, err := fetchPage(client, site+x.path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", x.path, err)
			}
			if one.Bytes, one.Compressed = plain, packed; i >= 3 { // the first ones read from the disk
				took = append(took, d)
			}
		}
		one.P50ms, one.P99ms = ms(quantile(took, 0.5)), ms(quantile(took, 0.99))
		out = append(out, one)
	}
	return out, nil
}

// fetchPage asks for a page and tells how long the first byte took, and its size.
func fetchPage(client *http.Client, address string) (firstByte time.Duration, plain, packed int, err error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	r.Header.Set("Accept-Encoding", "gzip") // and unpacked here, so that the size on the line is seen
	began := time.Now()
	answer, err := client.Do(r)
	firstByte = time.Since(began)
	if err != nil {
		return 0, 0, 0, err
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return 0, 0, 0, err
	}
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path == "/signin" {
		return 0, 0, 0, fmt.Errorf("%s", answer.Status)
	}
	packed = len(body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(string(body)))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			return 0, 0, 0, err
		}
	}
	return firstByte, len(body), packed, nil
}
