package province

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// SignIn signs an inspector in at a site as everybody does who was just let in: by a link, and a password. The client keeps
// the session.
func SignIn(ctx context.Context, l *commands.Ledger, state *appstate.State, now func() time.Time, site string) (*http.Client, error) {
	const person, password = domain.PersonID("bench_inspector"), "mưa rơi trên mái tôn cũ"
	if _, err := l.RegisterPerson(ctx, commands.System("bench", "person"), domain.PersonRegistered{Person: person, Name: string(person), Synthetic: true}); err != nil {
		return nil, err
	}
	if _, err := l.GrantRole(ctx, commands.System("bench", "role"), person, domain.RoleInspector, "", now(), nil); err != nil {
		return nil, err
	}
	secret, _, err := accounts.IssueLocalLink(ctx, l, state, now(), person)
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Timeout: time.Minute}
	for _, step := range []struct {
		path string
		form url.Values
	}{
		{"/link", url.Values{"secret": {secret}}}, {"/enrol/password", url.Values{"password": {password}}}, {"/signin", url.Values{"name": {string(person)}, "password": {password}}},
	} {
		r, err := http.NewRequest(http.MethodPost, site+step.path, strings.NewReader(step.form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", site)
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		if err := answer.Body.Close(); err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", step.path, answer.Status)
		}
	}
	return client, nil
}
