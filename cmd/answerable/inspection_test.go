package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/api/ui"
)

// TestVerifyIsRemembered: the last check is known to whoever serves the directory next, what it found too.
func TestVerifyIsRemembered(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	if v := lastVerified(dir); !v.At.IsZero() {
		t.Errorf("before any check: %+v", v)
	}
	mustRun(t, "verify", "--data", dir)
	v := lastVerified(dir)
	if !v.OK || v.Events == 0 || v.At.IsZero() || v.Fault != "" {
		t.Errorf("a good one: %+v", v)
	}
	p, _, err := readEvidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(p.Guard), []byte("no note"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, "verify", "--data", dir)
	if v := lastVerified(dir); v.OK || v.Fault == "" {
		t.Errorf("a bad one: %+v", v)
	}
	if err := os.WriteFile(filepath.Join(dir, verifiedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v := lastVerified(dir); !v.At.IsZero() {
		t.Errorf("a damaged remark: %+v", v)
	}
}

// TestShownSettings: each setting once, with where it comes from, and no password.
func TestShownSettings(t *testing.T) {
	t.Parallel()
	s, err := readSettings(nil, map[string]string{"ANSWERABLE_POSTGRES_URL": "postgres://ledger:geheim@db/x", "ANSWERABLE_LISTEN": ":80", "ANSWERABLE_GUARD": "/elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	s.flags["log_level"] = "debug"
	a := &app{settings: s}
	place := evidencePlace{dir: "/ledger", evidenceConfig: evidenceConfig{Origin: "example/log", Guard: "/other/checkpoint"}}
	rows := a.shownSettings(place, "https://ledger.example")
	for _, want := range []ui.Setting{
		{Key: "postgres_url", Value: "postgres://ledger:xxxxx@db/x", Source: "environment", Where: "ANSWERABLE_POSTGRES_URL"},
		{Key: "listen", Value: ":80", Source: "environment", Where: "ANSWERABLE_LISTEN"},
		{Key: "log_level", Value: "debug", Source: "flag"},
		{Key: "lang", Value: "auto", Source: "default"},
		{Key: "site", Value: "https://ledger.example", Source: "default"},
		{Key: "guard", Value: "/other/checkpoint", Source: "file", Where: filepath.Join("/ledger", evidenceFile)},
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no %+v in %+v", want, rows)
		}
	}
	if len(rows) != len(known) {
		t.Errorf("%d rows, %d settings", len(rows), len(known))
	}
	page := ui.Configuration{}
	for _, r := range rows {
		if strings.Contains(r.Value, "geheim") {
			t.Error("a password is shown")
		}
		if page.SettingText(r.Key) == "" {
			t.Errorf("the page has no words for %s", r.Key)
		}
	}
}
