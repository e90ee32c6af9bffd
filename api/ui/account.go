package ui

import (
	"net/url"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// NavItem is one of the pages a person works on.
type NavItem struct {
	Path  string
	Title string // key of its words
	Here  bool
}

// Until says how far an instant is, from the server's clock when the page was made: "còn 1 giờ 12 phút".
func (f Frame) Until(t time.Time) string {
	d := t.Sub(f.Now)
	key := "left"
	if d <= 0 { // at the deadline is late (rule 1)
		d, key = -d, "over"
	}
	if f.Language == domain.English {
		return f.span(d) + " " + f.T(key)
	}
	return f.T(key) + " " + f.span(d)
}

// Age says how long ago an instant was.
func (f Frame) Age(t time.Time) string { return f.span(max(0, f.Now.Sub(t))) }

// span writes a duration in days and hours, or in hours and minutes.
func (f Frame) span(d time.Duration) string {
	minutes := int(d / time.Minute)
	text := ""
	add := func(n int, unit string) {
		if text != "" {
			text += " "
		}
		if f.Language == domain.English && n == 1 {
			unit += ".one"
		}
		text += strconv.Itoa(n) + " " + f.T(unit)
	}
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	if days > 0 {
		add(days, "days")
	}
	if hours > 0 {
		add(hours, "hours")
	}
	if days == 0 && (minutes > 0 || hours == 0) {
		add(minutes, "minutes")
	}
	return text
}

// Unix is an instant for the script that goes on counting.

func (f Frame) Unix(t time.Time) int64 { return t.Unix() }

// Short is a civil day without its year, for the head of a column.

func (f Frame) Short(d domain.Date) string {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return string(d)
	}
	if f.Language == domain.English {
		return t.Format("01-02")
	}
	return t.Format("02/01")
}

// Percent is a share of a whole in hundreds, rounded down; "–" of nothing.

func (f Frame) Percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return strconv.Itoa(100*part/whole) + " %"
}

// ReportLink is the permanent address of what a unit reported for a day, as known when this page is.

func (f Frame) ReportLink(u domain.UnitCode, d domain.Date) string {
	known := ""
	if f.KnownAt != nil {
		known = f.KnownAt.UTC().Format(time.RFC3339Nano)
	}
	return f.Link("/reports/"+url.PathEscape(string(u))+"/"+url.PathEscape(string(d)), "regime", string(f.Regime), "date", "", "known_at", known)
}

// SignIn asks who is there.
type SignIn struct {
	Frame
	Next     string
	Name     string
	Problem  string
	Passkeys bool
	Provider string // what people call the provider that vouches for them; "" is none
}

// Provider is the way to a provider of OpenID Connect, and the way back.
type Provider struct {
	Frame
	Name  string
	To    string // address at the provider; "" on the way back
	Code  string // what it sent the browser back with
	State string
}

func (Provider) template() string { return "provider" }

// Demo lists the demonstration's persons.
type Demo struct {
	Frame
	Next   string
	Groups []DemoGroup
}

// DemoGroup is the persons of one role; "office" is those who sign without one.
type DemoGroup struct {
	Role    string
	Persons []DemoPerson
}

// DemoPerson is one of them.
type DemoPerson struct {
	ID   domain.PersonID
	Name string
	Unit string
}

// Link takes a one-time link.
type Link struct {
	Frame
	Problem string
}

// Links makes one-time links, for an administrator.
type Links struct {
	Frame
	For     domain.PersonID // whose link was just made; "" is nobody's
	Address string          // told once
	Until   time.Time
}

func (Links) template() string { return "links" }

// Enrol is what a one-time link lets in to.
type Enrol struct {
	Frame
	Who      string
	ID       domain.PersonID
	Ends     time.Time
	Passkeys bool
	Problem  string
}

// Account is a person's own: roles, sessions, passkeys, password.
type Account struct {
	Frame
	ID           domain.PersonID
	Method       string
	Ends         time.Time
	Fresh        bool
	PasskeysWork bool
	HasPassword  bool
	PasswordSet  time.Time // as the log tells; zero: there is none
	OtherWays    bool      // something else than the password signs in
	Problem      string
	Saved        bool // what was asked for was done
	Roles        []AccountRole
	Rights       []AccountRight
	Sessions     []AccountSession
	Passkeys     []AccountPasskey
	Provider     string // to which an account can be bound; "" is none
	Subjects     []AccountSubject
}

// AccountSubject is who the person is at a provider.
type AccountSubject struct {
	Issuer  string
	Subject string
	Bound   time.Time
	Used    time.Time // zero: never
}

// AccountRole is a role held now.
type AccountRole struct {
	Role domain.Role
	Unit domain.UnitCode
	Name string
}

// AccountRight is an office, or an authority to sign, that is in force now.
type AccountRight struct {
	UnitName string
	Capacity domain.Capacity
	Title    string
	Until    time.Time // zero: without end
}

// AccountSession is a browser at which the person is signed in.
type AccountSession struct {
	ID      string
	Here    bool
	Method  string
	Since   time.Time
	Used    time.Time
	Address string
	Agent   string
}

// AccountPasskey is a passkey; zero times are never.
type AccountPasskey struct {
	Credential string
	Label      string
	Enrolled   time.Time
	Revoked    time.Time
	Used       time.Time
	SignsIn    bool
	Signs      bool
}

func (SignIn) template() string  { return "signin" }
func (Demo) template() string    { return "demo" }
func (Link) template() string    { return "link" }
func (Enrol) template() string   { return "enrol" }
func (Account) template() string { return "account" }
