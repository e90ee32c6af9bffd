package api

import "testing"

func TestSubmit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	r := w.submit()
	t.Logf("%+v", r)
	for _, path := range []string{"/v1/regimes/bluezone/days/2021-02-08/board?at=" + w.position(), "/v1/regimes/bluezone/compliance", "/v1/regimes/bluezone/history/25741/2021-02-08", "/v1/regimes/bluezone/answers?unit=25741",
		"/v1/regimes/bluezone/breaches", "/v1/regimes/bluezone/days/2021-02-08/synthesis", "/v1/regimes/bluezone/sign-off-queue", "/v1/regimes/bluezone/targets", "/v1/units", "/v1/units/25741/office", "/v1/regimes", "/v1/regimes/bluezone/days",
		"/v1/regimes/bluezone/records", "/v1/forms", "/v1/forms/commune", "/v1/events?limit=3", "/v1/operations/lag", "/v1/operations/parked", "/v1/me", reportURL, "/", "/units/25741", "/breaches", "/synthesis?lang=en"} {
		r := w.want(ask{as: "inspector", path: path}, 200)
		t.Logf("%s: %.900s", path, r.Body)
	}
}
