package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const phrase = "một câu dài dễ nhớ"

// TestPasswordTakenAway: an administrator takes a password away with a reason, which ends the person's sessions and is in
// the account log; somebody who has nothing else to sign in with is not offered to take away their own.
func TestPasswordTakenAway(t *testing.T) {
	w := newWorld(t)
	w.password("filer", phrase)
	filer, admin := w.as(""), w.as("admin")
	target, values := filer.form(filer.page("/signin"), "/signin", url.Values{"name": {"filer"}, "password": {phrase}})
	filer.want(http.MethodPost, target, values, http.StatusSeeOther)
	if root := filer.page("/account"); formOf(root, "/account/password/remove") != nil || formOf(root, "/account/password") == nil {
		t.Error("who has a password alone is offered to take it away, or not to set it")
	}
	if formOf(admin.page("/people/head"), "/people/head/password") != nil {
		t.Error("the password of somebody who has none is offered to be taken away")
	}

	target, values = admin.form(admin.page("/people/filer"), "/people/filer/password", nil)
	admin.want(http.MethodPost, target, values, http.StatusUnprocessableEntity) // without a reason
	filer.page("/account")
	root := admin.follow(admin.page("/people/filer"), "/people/filer/password", url.Values{"reason": {"Mất máy"}})
	admin.shows(root, "bỏ mật khẩu admin")
	if formOf(root, "/people/filer/password") != nil {
		t.Error("the password is still there")
	}
	filer.want(http.MethodGet, "/account", nil, http.StatusSeeOther) // signed in nowhere
	again := w.as("")
	target, values = again.form(again.page("/signin"), "/signin", url.Values{"name": {"filer"}, "password": {phrase}})
	if r := again.want(http.MethodPost, target, values, http.StatusUnauthorized); !strings.Contains(r.Body.String(), `role="alert"`) {
		t.Error("the refusal does not say so")
	}
	admin.want(http.MethodPost, "/people/filer/password", url.Values{"reason": {"Mất máy"}}, http.StatusNotFound)
	w.as("filer").want(http.MethodPost, "/account/password/remove", nil, http.StatusNotFound)
}
