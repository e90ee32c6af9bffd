package esdbtest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
)

// TestOfficialNodeClient judges the server by a client we did not write. It needs node, and npm to install what
// nodeclient/package-lock.json names; where they are missing it is skipped and says so.
func TestOfficialNodeClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the official Node client was not run: -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the official Node client was not run: %v", err)
		}
	}
	dir := t.TempDir() // node_modules does not belong into the source tree
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		data, err := os.ReadFile(filepath.Join("nodeclient", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, name, args...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := run("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000"); err != nil {
		for _, code := range []string{"signal: killed", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "E403", "E404", "ERR_SOCKET_TIMEOUT"} {
			if strings.Contains(out+err.Error(), code) {
				t.Skipf("the official Node client was not run: the registry of npm cannot be reached or does not have it:\n%s", out)
			}
		}
		t.Fatalf("npm ci: %v:\n%s", err, out)
	}
	server, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	out, err := run("node", "check.mjs", strings.Replace(server.URL(), "esdb://", "kurrentdb://", 1))
	if err != nil || !strings.Contains(out, "all ok") {
		t.Fatalf("%v:\n%s", err, out)
	}
	t.Log("\n" + out)
}
