package rules

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose loads docker-compose.yml as `docker compose config` does (by the same library), with settings and nothing of the
// environment the test runs in.
func compose(t *testing.T, settings map[string]string, profiles ...string) (*types.Project, error) {
	t.Helper()
	env := []string{}
	for k, v := range settings {
		env = append(env, k+"="+v)
	}
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

// passwords gives each setting that .env.example leaves empty a value of its own.
func passwords(t *testing.T) map[string]string {
	t.Helper()
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	filled := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=$`).FindAllStringSubmatch(string(example), -1) {
		filled[m[1]] = "secret-of-" + strings.ToLower(m[1])
	}
	if len(filled) < 6 {
		t.Fatalf(".env.example leaves only %v to be filled in", filled)
	}
	return filled
}

// TestComposeFile loads what docs/operations.md has an operator start, with one node, with three, and for the installation.
func TestComposeFile(t *testing.T) {
	one, three := []string{"answerable", "certificates", "guard", "kurrentdb", "ledger-user", "postgres"},
		[]string{"answerable", "certificates", "guard", "kurrentdb1", "kurrentdb2", "kurrentdb3", "ledger-user", "postgres"}
	for name, c := range map[string]struct{ profiles, services []string }{
		"one node":                 {[]string{"single"}, one},
		"three nodes":              {[]string{"cluster"}, three},
		"installing on one node":   {[]string{"single", "install"}, append(slices.Clone(one), "init")},
		"installing on three ones": {[]string{"cluster", "install"}, append(slices.Clone(three), "init")},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := compose(t, passwords(t), c.profiles...)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Sorted(maps.Keys(p.Services))
			if slices.Sort(c.services); !slices.Equal(got, c.services) {
				t.Errorf("services %v, want %v", got, c.services)
			}
			for name, s := range p.Services {
				// What stays up is watched; the others end, and who needs them waits until they did.
				if s.Restart != "" && (s.HealthCheck == nil || len(s.HealthCheck.Test) == 0) {
					t.Errorf("%s stays up and has no health check", name)
				}
				if tag := s.Image[strings.LastIndex(s.Image, ":")+1:]; s.Build == nil && (tag == "latest" || !strings.ContainsAny(tag, "0123456789")) {
					t.Errorf("%s: the image %s is of no exact version", name, s.Image)
				}
				for _, v := range s.Volumes {
					if _, named := p.Volumes[v.Source]; v.Type == types.VolumeTypeVolume && !named {
						t.Errorf("%s keeps %s in a volume without a name", name, v.Target)
					}
					if v.Type == types.VolumeTypeBind {
						if _, err := os.Stat(v.Source); err != nil {
							t.Errorf("%s is given a file that is not there: %v", name, err)
						}
					}
				}
			}
		})
	}
}

// TestComposeHasNoDefaultPasswords: compose refuses to start while any one of them is missing or empty, and no password is
// in the file.
func TestComposeHasNoDefaultPasswords(t *testing.T) {
	filled := passwords(t)
	for name := range filled {
		for what, change := range map[string]func(map[string]string){
			"without": func(m map[string]string) { delete(m, name) },
			"empty":   func(m map[string]string) { m[name] = "" },
		} {
			settings := maps.Clone(filled)
			change(settings)
			if _, err := compose(t, settings, "single", "cluster", "install"); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
	p, err := compose(t, filled, "single", "cluster", "install")
	if err != nil {
		t.Fatal(err)
	}
	for service, s := range p.Services {
		for setting, value := range s.Environment {
			if value == nil || !strings.Contains(setting, "PASSWORD") && !strings.HasSuffix(setting, "_URL") {
				continue
			}
			if !strings.Contains(*value, "secret-of-") {
				t.Errorf("%s has %s=%s, which .env does not give it", service, setting, *value)
			}
		}
	}
}
