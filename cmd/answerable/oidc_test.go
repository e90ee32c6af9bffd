package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/answerable-ledger/answerable/accounts"
)

// Given settings of a provider, then it is one, none, or a mistake that is told before anybody signs in.
func TestProviderSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "empty")
	for name, content := range map[string]string{secret: "bí mật\n", empty: "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const issuer = "https://sso.example.vn/realms/tinh"
	for _, c := range []struct {
		name   string
		values map[string]string
		want   accounts.OIDC
		wrong  bool
	}{
		{name: "none"},
		{name: "whole", values: map[string]string{oidcIssuerKey: issuer, oidcClientKey: "so", oidcSecretKey: secret, oidcNameKey: "SSO tỉnh"},
			want: accounts.OIDC{Issuer: issuer, ClientID: "so", ClientSecret: "bí mật", Name: "SSO tỉnh"}},
		{name: "without secret and name", values: map[string]string{oidcIssuerKey: issuer, oidcClientKey: "so"}, want: accounts.OIDC{Issuer: issuer, ClientID: "so", Name: "sso.example.vn"}},
		{name: "no client", values: map[string]string{oidcIssuerKey: issuer}, wrong: true},
		{name: "no issuer", values: map[string]string{oidcSecretKey: secret}, wrong: true},
		{name: "no such file", values: map[string]string{oidcIssuerKey: issuer, oidcClientKey: "so", oidcSecretKey: filepath.Join(dir, "none")}, wrong: true},
		{name: "an empty file", values: map[string]string{oidcIssuerKey: issuer, oidcClientKey: "so", oidcSecretKey: empty}, wrong: true},
	} {
		a := &app{settings: &settings{values: c.values}}
		if got, err := a.provider(); got != c.want || (err != nil) != c.wrong {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
