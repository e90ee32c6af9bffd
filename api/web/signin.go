package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
)

func (h *Handler) asset(c *call) error {
	a, ok := h.pages.Asset(c.path("file"))
	if !ok {
		return errNotFound
	}
	if c.query.Get("v") == a.Version { // the address names the content
		c.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.write(http.StatusOK, a.MediaType, a.Body)
	return nil
}

func (h *Handler) signInPage(c *call) error {
	if c.person.Exists() {
		return c.redirect(whereTo(c.query.Get("next")))
	}
	return c.render(http.StatusOK, h.signInForm(c, c.query.Get("next"), "", nil))
}

func (h *Handler) signInForm(c *call, next, name string, err error) ui.SignIn {
	p := ui.SignIn{Frame: c.bare("sign_in"), Next: accounts.SafeNext(next), Name: name, Passkeys: h.Accounts.PasskeysWork(), Provider: h.Accounts.Provider()}
	if err != nil {
		p.Problem = words(err, p.Frame)
	}
	return p
}

// whereTo is where a person goes after signing in.
func whereTo(next string) string {
	if to := accounts.SafeNext(next); to != "/" {
		return to
	}
	return "/home"
}

func (h *Handler) signInPassword(c *call) error {
	form := c.r.PostForm
	name := strings.TrimSpace(form.Get("name"))
	opened, err := h.Accounts.SignInPassword(c.ctx, c.attempt, name, form.Get("password"))
	if errors.Is(err, accounts.ErrRefused) {
		return c.render(http.StatusUnauthorized, h.signInForm(c, form.Get("next"), name, err))
	}
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.redirect(whereTo(form.Get("next")))
}

// answerJSON answers the script.
func (c *call) answerJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.write(http.StatusOK, "application/json", b)
	return nil
}

// fromScript is what the script posts back: the challenge's id and the credential's own words.
type fromScript struct {
	Ceremony string         `json:"ceremony"`
	Label    string         `json:"label"`
	Next     string         `json:"next"`
	Digest   string         `json:"digest"` // of the figures on the page
	Nonce    string         `json:"nonce"`  // of the statement on the page
	Response jsontext.Value `json:"response"`
}

func (c *call) scripted() (fromScript, error) {
	var in fromScript
	b, err := io.ReadAll(c.r.Body)
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(bytes.TrimSpace(b), &in); err != nil {
		return in, errors.Join(errForm, err)
	}
	return in, nil
}

// onward tells the script where to go.
type onward struct {
	Next string `json:"next"`
}

func (h *Handler) signInBegin(c *call) error {
	ceremony, err := h.Accounts.BeginSignIn(c.ctx, c.attempt)
	if err != nil {
		return err
	}
	return c.answerJSON(challenge(ceremony))
}

// challenge is a ceremony as the script reads it.
func challenge(x accounts.Ceremony) map[string]jsontext.Value {
	id, err := json.Marshal(x.ID)
	if err != nil { // a string
		panic(err)
	}
	return map[string]jsontext.Value{"ceremony": id, "options": jsontext.Value(x.Options)}
}

func (h *Handler) signInFinish(c *call) error {
	in, err := c.scripted()
	if err != nil {
		return err
	}
	opened, err := h.Accounts.FinishSignIn(c.ctx, c.attempt, in.Ceremony, in.Response)
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.answerJSON(onward{whereTo(in.Next)})
}

func (h *Handler) signOut(c *call) error {
	if err := h.Accounts.SignOut(c.ctx, c.attempt, c.session); err != nil {
		return err
	}
	h.Accounts.ClearCookie(c.w)
	return c.redirect("/signin")
}

// demoPage lists the demonstration's persons by what they do. Everywhere else there is no such page.
func (h *Handler) demoPage(c *call) error {
	if !h.Accounts.HasDemo() {
		return errNotFound
	}
	p := ui.Demo{Frame: c.bare("demo"), Next: accounts.SafeNext(c.query.Get("next"))}
	today := domain.DateAt(c.at, domain.HoChiMinh)
	for _, id := range h.DemoPersons {
		person, err := h.Ledger.Person(c.ctx, id)
		if err != nil {
			return err
		}
		if !person.Exists() || !person.Synthetic {
			continue
		}
		group, unit := "office", ""
		if roles := person.ActorAt(c.at).Grants; len(roles) > 0 {
			group = string(roles[0].Role)
			if roles[0].Unit != "" {
				if unit, err = c.unitName(roles[0].Unit, today); err != nil {
					return err
				}
			}
		}
		i := slices.IndexFunc(p.Groups, func(g ui.DemoGroup) bool { return g.Role == group })
		if i < 0 {
			i = len(p.Groups)
			p.Groups = append(p.Groups, ui.DemoGroup{Role: group})
		}
		p.Groups[i].Persons = append(p.Groups[i].Persons, ui.DemoPerson{ID: id, Name: person.Name, Unit: unit})
	}
	order := []string{"filer", "head", "office", "district", "department", "inspector", "admin"}
	slices.SortStableFunc(p.Groups, func(a, b ui.DemoGroup) int { return slices.Index(order, a.Role) - slices.Index(order, b.Role) })
	return c.render(http.StatusOK, p)
}

func (h *Handler) demoSignIn(c *call) error {
	opened, err := h.Accounts.SignInAs(c.ctx, c.attempt, domain.PersonID(c.r.PostForm.Get("person")))
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.redirect(whereTo(c.r.PostForm.Get("next")))
}

// linkPage takes a one-time link's secret, which is in the address's fragment and never reaches a log, or is typed.
func (h *Handler) linkPage(c *call) error {
	return c.render(http.StatusOK, ui.Link{Frame: c.bare("link")})
}

func (h *Handler) linkOpen(c *call) error {
	opened, err := h.Accounts.OpenLink(c.ctx, c.attempt, strings.TrimSpace(c.r.PostForm.Get("secret")))
	if errors.Is(err, accounts.ErrRefused) {
		p := ui.Link{Frame: c.bare("link")}
		p.Problem = p.T("fail.link")
		return c.render(http.StatusUnauthorized, p)
	}
	if err != nil {
		return err
	}
	h.Accounts.SetCookie(c.w, opened)
	return c.redirect("/enrol")
}

func (h *Handler) enrolPage(c *call) error { return h.showEnrol(c, http.StatusOK, nil) }

func (h *Handler) showEnrol(c *call, status int, problem error) error {
	s, person, err := h.Accounts.Enrolment(c.r)
	if err != nil {
		return err
	}
	p := ui.Enrol{Frame: c.bare("enrol"), Who: person.Name, ID: person.ID, Ends: s.EndsAt(), Passkeys: h.Accounts.PasskeysWork()}
	if problem != nil {
		p.Problem = words(problem, p.Frame)
	}
	return c.render(status, p)
}

func passwordRefused(err error) bool {
	return errors.Is(err, accounts.ErrPasswordShort) || errors.Is(err, accounts.ErrPasswordLong) || errors.Is(err, accounts.ErrPasswordCommon)
}

func (h *Handler) enrolPassword(c *call) error {
	s, _, err := h.Accounts.Enrolment(c.r)
	if err != nil {
		return err
	}
	err = h.Accounts.SetPassword(c.ctx, c.attempt, s, c.r.PostForm.Get("password"))
	if passwordRefused(err) {
		return h.showEnrol(c, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	h.Accounts.ClearCookie(c.w)
	return c.redirect("/signin")
}

func (h *Handler) enrolBegin(c *call) error {
	s, _, err := h.Accounts.Enrolment(c.r)
	if err != nil {
		return err
	}
	ceremony, err := h.Accounts.BeginEnrolment(c.ctx, c.attempt, s)
	if err != nil {
		return err
	}
	return c.answerJSON(challenge(ceremony))
}

func (h *Handler) enrolFinish(c *call) error {
	s, _, err := h.Accounts.Enrolment(c.r)
	if err != nil {
		return err
	}
	in, err := c.scripted()
	if err != nil {
		return err
	}
	if _, err := h.Accounts.FinishEnrolment(c.ctx, c.attempt, s, in.Ceremony, in.Label, in.Response); err != nil {
		return err
	}
	h.Accounts.ClearCookie(c.w)
	return c.answerJSON(onward{"/signin"})
}

// back is the account page, saying that something was done.
func back(what string) string { return "/account?" + url.Values{"done": {what}}.Encode() }
