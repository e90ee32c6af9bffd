package esdb

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

// knownSettings are the keys of a connection string the client reads (configuration.go of v4.2.0), in lower case. It
// only warns of others, so that a mistyped tlsCaFile would go unnoticed.
var knownSettings = []string{
	"defaultdeadline", "discoveryinterval", "gossiptimeout", "keepaliveinterval", "keepalivetimeout",
	"maxdiscoverattempts", "nodepreference", "tls", "tlscafile", "tlsverifycert", "usercertfile", "userkeyfile",
}

// parseURL reads a connection string and refuses what the client misreads or what would weaken the ledger. No message
// repeats the string: it may hold a password.
func parseURL(raw string, allowInsecure bool) (*client.Configuration, error) {
	refuse := func(format string, args ...any) (*client.Configuration, error) {
		return nil, fmt.Errorf("connection string: "+format+": %w", append(args, eventlog.ErrInvalid)...)
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	switch scheme = strings.Replace(scheme, "kurrentdb", "esdb", 1); {
	case !ok || scheme != "esdb" && scheme != "esdb+discover":
		return refuse("want esdb://host:2113 or esdb+discover://host:2113")
	case strings.ContainsAny(rest, "[]"):
		return refuse("the client cannot read IPv6 addresses: give the server a name and use that")
	}
	authority, query, _ := strings.Cut(rest, "?")
	user, hosts, withUser := "", authority, false
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts, withUser = authority[:i], authority[i+1:], true
	}
	hosts = strings.TrimSuffix(hosts, "/")
	var remote []string
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, hasPort := strings.Cut(host, ":")
		if name == "" {
			return refuse("a host is empty")
		}
		if number, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || number == 0) {
			return refuse("host %s: port %q is not a number from 1 to 65535 (IPv6 addresses are not supported: use a name)", name, port)
		}
		if ip := net.ParseIP(name); name != "localhost" && (ip == nil || !ip.IsLoopback()) {
			remote = append(remote, name)
		}
	}
	settings, err := url.ParseQuery(query)
	if err != nil {
		return refuse("what stands behind '?' is not a list of settings")
	}
	given := map[string]string{}
	for key, values := range settings {
		lower := strings.ToLower(key)
		if _, twice := given[lower]; twice || len(values) > 1 {
			return refuse("setting %s is given twice", key)
		}
		if !slices.Contains(knownSettings, lower) {
			return refuse("setting %s is not known (known: %s)", key, strings.Join(knownSettings, ", "))
		}
		given[lower] = values[0]
	}
	plain := strings.EqualFold(given["tls"], "false")
	switch {
	case plain && withUser:
		return refuse("with tls=false the client never sends user and password: remove them, or use TLS")
	case withUser && !strings.Contains(user, ":"):
		return refuse("a user is given without a password")
	case plain && len(remote) > 0 && !allowInsecure:
		return refuse("tls=false to %s would send the ledger in the clear: use TLS, or allow insecure connections explicitly", strings.Join(remote, ", "))
	case strings.EqualFold(given["tlsverifycert"], "false") && !allowInsecure:
		return refuse("tlsVerifyCert=false would trust any server: give the authority's certificate with tlsCaFile, or allow insecure connections explicitly")
	case given["nodepreference"] != "" && !strings.EqualFold(given["nodepreference"], "leader"):
		return refuse("nodePreference=%s: the ledger reads its own writes and needs the leader", given["nodepreference"])
	case given["keepaliveinterval"] == "-1":
		return refuse("keepAliveInterval=-1: a dead connection would never be noticed")
	}
	if g := given["gossiptimeout"]; g != "" {
		// The one setting in seconds among milliseconds.
		if seconds, err := strconv.Atoi(g); err != nil || seconds < 1 || seconds > 60 {
			return refuse("gossipTimeout=%s: it is counted in seconds, from 1 to 60", g)
		}
	}
	if d := given["defaultdeadline"]; d != "" {
		if ms, err := strconv.Atoi(d); err != nil || ms < 1 {
			return refuse("defaultDeadline=%s: it is counted in milliseconds, at least 1", d)
		}
	}
	config, err := client.ParseConnectionString(scheme + "://" + rest)
	if err != nil {
		// Of the client's messages those of net/url repeat the whole string.
		if strings.Contains(err.Error(), "://") {
			return refuse("it is not a URL (are special characters in the password escaped?)")
		}
		return refuse("%v", err)
	}
	if err := config.Validate(); err != nil {
		return refuse("%v", err)
	}
	return config, nil
}
