package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// A settings file is read whole or refused; what is taken are settings that exist, each from the file.
func FuzzSettings(f *testing.F) {
	for _, s := range []string{`{}`, `{"data":"./ledger","listen":"127.0.0.1:0","lang":"vi","seed":7}`, `{"dta":"x"}`, `{"data":1,"data":2}`, `[]`, ``, `{"seed":1e400}`, `{"data":{"a":[null]}}`, "\ufeff{}", `{"data":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &settings{file: "a.json", values: map[string]string{}, source: map[string]string{}}
		if err := s.parse(raw); err != nil {
			if !strings.HasPrefix(err.Error(), "settings file a.json") {
				t.Fatalf("refused without naming the file: %v", err)
			}
			return
		}
		for key := range s.values {
			if !isKnown(key) || s.source[key] != "file a.json" {
				t.Fatalf("%q from %q", key, s.source[key])
			}
		}
	})
}

func TestSettingsAreTakenAsWritten(t *testing.T) {
	t.Parallel()
	s := &settings{file: "a.json", values: map[string]string{}, source: map[string]string{}}
	if err := s.parse([]byte(`{"seed":18446744073709551615,"lang":"v\u0069"}`)); err != nil || s.values["seed"] != "18446744073709551615" || s.values["lang"] != "vi" {
		t.Errorf("%v, %v", s.values, err)
	}
	for _, bad := range []string{`{"data":{"a":1}}`, `{"data":["a"]}`, `{"data":null}`} {
		if err := s.parse([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// Whatever the terminal says of its language, there is one to answer in, and it is what was asked for by name.
func FuzzLanguage(f *testing.F) {
	for _, s := range []string{"vi_VN.UTF-8", "VI", "en_US.UTF-8", "C", "", "vi_VN@\xff", "C.UTF-8"} {
		f.Add(s, s, "auto")
		f.Add("", s, "vi")
	}
	f.Fuzz(func(t *testing.T, all, lang, asked string) {
		env := map[string]string{"LC_ALL": all, "LANG": lang}
		got := detectLanguage(asked, env)
		if got != domain.Vietnamese && got != domain.English || asked == "vi" && got != domain.Vietnamese || asked == "en" && got != domain.English {
			t.Fatalf("%q", got)
		}
		if asked == "auto" && all != "" && got != detectLanguage("auto", map[string]string{"LANG": all}) {
			t.Fatalf("LC_ALL does not come before LANG: %q", got)
		}
		if args := []string{"--lang", asked, "verify"}; !strings.HasPrefix(asked, "--") && askedLanguage(args, nil, env) != got {
			t.Fatalf("--help of %q is in another language", args)
		}
	})
}

// A day or an instant of the command line is taken as what it says, or refused as a usage error that names the flag.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"", "2021-02-08", "2021-02-30", "0000-01-01", "2021-02-09T17:00:00+07:00", "2021-02-09T17:00:00Z", "2021-02-09T17:00:00.123456789-12:30", "2021-02-09 17:00", "9999-12-31T23:59:59Z", "2021-2-8", "yesterday", "\xff", "２０２１-02-08", "2021-02-09T23:59:60Z"} {
		f.Add(s)
	}
	now := time.Date(2021, 2, 10, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		var usage usageError
		day, err := date("from", s)
		if err != nil && (!errors.As(err, &usage) || !strings.Contains(usage.in(domain.Vietnamese), "--from")) || err == nil && string(day) != s {
			t.Fatalf("%q: %q, %v", s, day, err)
		}
		at, err := queryFlags{KnownAt: s}.knownAt(now)
		switch {
		case err != nil && (!errors.As(err, &usage) || !strings.Contains(usage.in(domain.English), "--known-at")):
			t.Fatalf("%q: %v", s, err)
		case err != nil:
		case (at == nil) != (s == ""):
			t.Fatalf("%q: %v", s, at)
		case at != nil && (at.After(now) || at.Location() != time.UTC):
			t.Fatalf("%q: %v", s, at)
		}
	})
}

// The file that says where the evidence lies is read whole or refused by name, and what is written is read as it was.
func FuzzEvidencePlace(f *testing.F) {
	for _, s := range []string{`{}`, `{"origin":"ledger.example/a"}`, `{"policy":"policy.txt","policy":"x"}`, `[]`, ``, `{"unknown":1}`, `{"origin":null}`, "\ufeff{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, evidenceFile), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		p, ok, err := readEvidence(dir)
		if err != nil {
			if !strings.Contains(err.Error(), evidenceFile) {
				t.Fatalf("refused without naming the file: %v", err)
			}
			return
		}
		if !ok {
			t.Fatal("it is there")
		}
		if err := p.write(); err != nil {
			t.Fatal(err)
		}
		if again, _, err := readEvidence(dir); err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v is written and read as %+v, %v", p, again, err)
		}
	})
}
