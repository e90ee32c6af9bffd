package accounts

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Attempt is a request by which a person may change something. Only Accounts.Attempt makes one that is accepted.
type Attempt struct {
	at      time.Time
	address string
	agent   string
	session string // hash of the secret in the cookie; it proves nothing, and is only replaced
	// departed is the cookie of a browser that comes back from the provider
	departed string
}

// Attempt takes a request of our own pages whose method may change something. ErrMethod refuses GET, HEAD and OPTIONS,
// ErrCrossSite what another site sends in the person's name, and what does not say where it comes from: every browser
// that can send a form tells Sec-Fetch-Site, Origin or Referer.
func (a *Accounts) Attempt(r *http.Request) (Attempt, error) {
	if safe(r.Method) {
		return Attempt{}, ErrMethod
	}
	if a.cross.Check(r) != nil || !a.tellsOrigin(r) {
		return Attempt{}, ErrCrossSite
	}
	t := Attempt{at: a.now(), address: a.address(r), agent: truncate(r.UserAgent(), maxAgentBytes)}
	if secret, ok := a.cookie(r); ok {
		t.session = hashSecret(secret)
	}
	if c := r.CookiesNamed(a.departureCookie()); len(c) == 1 { // of two one is not ours
		t.departed = c[0].Value
	}
	return t, nil
}

// valid refuses an Attempt that no request made.
func (t Attempt) valid() error {
	if t.at.IsZero() {
		return ErrMethod
	}
	return nil
}

// Protect keeps requests of other sites from next: what may change something and carries a session must come from our own
// pages. refused answers the others, with status 403. Requests without a session's cookie, such as those of programs with
// a token, pass when a browser does not say that another site sent them.
func (a *Accounts) Protect(next, refused http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, session := a.cookie(r)
		if !safe(r.Method) && (a.cross.Check(r) != nil || session && !a.tellsOrigin(r)) {
			refused.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// tellsOrigin reports whether http.CrossOriginProtection had something to judge by; it lets through what tells nothing.
// Browsers from before 2020 tell a Referer alone.
func (a *Accounts) tellsOrigin(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" {
		return true
	}
	u, err := url.Parse(r.Header.Get("Referer"))
	return err == nil && u.Scheme+"://"+u.Host == a.origin
}

// address is the client's: the last one in X-Forwarded-For that no trusted proxy has, or the connection's.
func (a *Accounts) address(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr := ap.Addr().Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, f := range slices.Backward(forwarded) {
		if !a.trusts(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(f))
		if err != nil {
			break
		}
		addr = next.Unmap().WithZone("")
	}
	return addr.String()
}

func (a *Accounts) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addressKey is what is limited: the address, or the network of 64 bits that one IPv6 customer has at least.
func addressKey(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() {
		return "a" + address
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return "a" + address
	}
	return "a" + network.String()
}

// CookieName is the session's cookie. The prefix makes browsers refuse one that another host of the domain sets, or that
// came without encryption (RFC 6265bis, 4.1.3.2); plain http, on this machine alone, cannot have it.
func (a *Accounts) CookieName() string {
	if a.secure {
		return "__Host-answerable_session"
	}
	return "answerable_session"
}

// SetCookie gives the browser a session's secret. It lasts until the browser is closed. Lax lets links in mails lead to
// a signed-in page, which cannot change anything.
func (a *Accounts) SetCookie(w http.ResponseWriter, o Opened) {
	http.SetCookie(w, &http.Cookie{Name: a.CookieName(), Value: o.Secret, Path: "/", HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode})
}

// ClearCookie takes it away.
func (a *Accounts) ClearCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: a.CookieName(), Path: "/", MaxAge: -1, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode})
}

// cookie is the secret a browser sent. Two cookies of the name are none: one of them is not ours.
func (a *Accounts) cookie(r *http.Request) (string, bool) {
	cookies := r.CookiesNamed(a.CookieName())
	if len(cookies) != 1 || cookies[0].Value == "" {
		return "", false
	}
	return cookies[0].Value, true
}

// SafeNext is where to go after signing in: the path asked for, with its query, when it is one of this server; "/" for
// everything else, so that nobody is sent to another site by a link to ours.
func SafeNext(next string) string {
	const maxBytes = 2048
	if len(next) > maxBytes || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, unsafeInPath) {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.HasPrefix(u.Path, "//") || strings.ContainsFunc(u.Path, unsafeInPath) {
		return "/"
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}

// unsafeInPath: browsers read '\' as '/' and drop some control characters.
func unsafeInPath(r rune) bool { return r == '\\' || r < 0x20 || r == 0x7f || r == utf8.RuneError }

func truncate(s string, maxBytes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for len(s) > maxBytes {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
