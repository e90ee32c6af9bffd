package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/answerable-ledger/answerable/accounts"
)

// The settings of a provider of OpenID Connect. The secret is in a file: others on the machine can read a process's command
// line, and its environment is passed on to whatever it starts.
const (
	oidcIssuerKey = "oidc_issuer"
	oidcClientKey = "oidc_client_id"
	oidcSecretKey = "oidc_client_secret_file"
	oidcNameKey   = "oidc_name"
)

// provider is the provider that is set, the zero OIDC where none is. It is not asked for anything yet.
func (a *app) provider() (accounts.OIDC, error) {
	if a.settings == nil {
		return accounts.OIDC{}, nil
	}
	at := func(key string) string { v, _ := a.settings.at(key, ""); return v }
	o := accounts.OIDC{Issuer: at(oidcIssuerKey), ClientID: at(oidcClientKey), Name: at(oidcNameKey)}
	file := at(oidcSecretKey)
	if o == (accounts.OIDC{}) && file == "" {
		return o, nil
	}
	if o.Issuer == "" || o.ClientID == "" {
		return accounts.OIDC{}, fmt.Errorf("settings %s and %s go together: sign-in by a provider needs both", oidcIssuerKey, oidcClientKey)
	}
	if o.Name == "" {
		u, err := url.Parse(o.Issuer)
		if err != nil {
			return accounts.OIDC{}, fmt.Errorf("setting %s: %w", oidcIssuerKey, err)
		}
		o.Name = u.Host
	}
	if file == "" {
		return o, nil
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return accounts.OIDC{}, fmt.Errorf("setting %s: %w", oidcSecretKey, err)
	}
	if o.ClientSecret = strings.TrimSpace(string(secret)); o.ClientSecret == "" {
		return accounts.OIDC{}, fmt.Errorf("setting %s: %s is empty", oidcSecretKey, file)
	}
	return o, nil
}
