package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// sendFile sends a file to the page that takes them, as a browser does.
func (b *browser) sendFile(name string, content []byte, fields url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for field, values := range fields {
		b.ok(m.WriteField(field, values[0]))
	}
	if name != "" {
		w, err := m.CreateFormFile("file", name)
		b.ok(err)
		_, err = w.Write(content)
		b.ok(err)
	}
	b.ok(m.Close())
	return b.ask(http.MethodPost, "/upload", nil, append([]func(*http.Request){func(r *http.Request) {
		*r = *httptest.NewRequest(http.MethodPost, r.URL.String(), &body)
		r.Header.Set("Content-Type", m.FormDataContentType())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for name, value := range b.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
	}}, change...)...)
}

// checks sends a file to be checked, with the fields that the page has.
func (b *browser) checks(name, content string, status int) *html.Node {
	b.Helper()
	_, fields := b.form(b.page("/upload?date=2021-02-08"), "/upload", url.Values{"step": {"check"}})
	delete(fields, "file")
	r := b.sendFile(name, []byte(content), fields)
	if r.Code != status {
		b.Fatalf("%s: %d, want %d\n%s", name, r.Code, status, r.Body)
	}
	for header, values := range r.Header() {
		if strings.Contains(strings.Join(values, ""), "onerror") {
			b.Errorf("header %s holds what was sent: %q", header, values)
		}
	}
	return b.parsed("/upload", r)
}

// quoted is the hostile text as a cell of a file.
func quoted() string { return `"` + strings.ReplaceAll(hostile, `"`, `""`) + `"` }

const goodFile = "unit,form,smartphone_users,installed,new_today,note\n25741,commune,8000,4000,100,\n"

// TestUpload: a file is checked row by row, and records nothing until its sender has seen what it says; then all of it, once.
func TestUpload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer := w.as("filer")
	filed := func() domain.Report {
		t.Helper()
		r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
		w.ok(err)
		return r
	}
	filer.shows(filer.page("/today"), "Gửi báo cáo từ tệp")
	filer.checks("", "", http.StatusUnprocessableEntity) // none was chosen

	// Everything that is wrong is said by row and column, and what was typed stays text.
	root := filer.checks(`"><img src=x onerror=alert(1)>`+"\r\nX-Evil: 1.csv", "unit;form;smartphone_users;installed;new_today\n25741;commune;8.000;"+quoted()+";1\n25744;commune;8000;4000;100\n25741;commune;1;1;1\n", http.StatusUnprocessableEntity)
	filer.shows(root, "lỗi trong tệp; chưa ghi gì", "2 C", "2 D", "4 A")
	filer.shows(filer.checks("b.csv", "unit,form,smartphone_users,installed,new_today\n25741,commune,8000,4000,100\n25744,commune,8000,4000,100\n", http.StatusUnprocessableEntity), "1 lỗi", "3") // another unit's
	filer.shows(filer.checks("b.xlsx", "PK\x03\x04\x00", http.StatusUnprocessableEntity), "CSV UTF-8")
	filer.shows(filer.checks("b.csv", strings.Repeat("x", maxUploadBytes+1), http.StatusRequestEntityTooLarge), "vượt quá")
	filer.shows(filer.checks("b.csv", strings.Repeat("x", domain.MaxImportBytes+1), http.StatusRequestEntityTooLarge), "vượt quá")
	if r := filed(); len(r.Versions) != 0 {
		t.Fatalf("%+v", r.Versions)
	}

	// What is right is shown, and recorded when its sender says so; sent twice, once.
	root = filer.checks("a\\"+hostile+".csv", goodFile, http.StatusOK)
	filer.shows(root, "1 báo cáo, không có lỗi", "8.000", "Chưa ghi gì vào sổ")
	if r := filed(); len(r.Versions) != 0 {
		t.Fatalf("%+v", r.Versions)
	}
	_, record := filer.form(root, "/upload", url.Values{"step": {"record"}})
	for i, want := range []string{"1 báo cáo đã ghi vào sổ", "Đã có từ lần gửi trước: 1"} {
		r := filer.sendFile("", nil, record)
		if r.Code != http.StatusOK {
			t.Fatalf("%d: %s", r.Code, r.Body)
		}
		root = filer.parsed("/upload", r)
		filer.shows(root, want)
		if r := filed(); len(r.Versions) != 1 || r.Versions[0].Channel != domain.ChannelSpreadsheet || r.Versions[0].Filer != "filer" {
			t.Fatalf("%d: %+v", i, r.Versions)
		}
	}
	link := find(root, func(n *html.Node) bool { return strings.Contains(attr(n, "href"), "/filed?at=") })
	filer.shows(filer.page(attr(link, "href")), "Số đến", "8.000")
	filer.shows(filer.checks("c.csv", goodFile, http.StatusUnprocessableEntity), "1 lỗi") // it is there; correcting is another act

	// What comes back is judged anew: neither the check nor the page is believed.
	record.Set("content", base64.StdEncoding.EncodeToString([]byte(strings.Replace(goodFile, "25741", "25744", 1))))
	if r := filer.sendFile("", nil, record); r.Code != http.StatusUnprocessableEntity && r.Code != http.StatusForbidden {
		t.Errorf("another unit's report: %d", r.Code)
	}
	record.Set("content", "not base64")
	if r := filer.sendFile("", nil, record); r.Code != http.StatusBadRequest {
		t.Errorf("what is no file: %d", r.Code)
	}
	if r := w.as("inspector").sendFile("a.csv", []byte(goodFile), url.Values{"key": {newKey()}}); r.Code != http.StatusForbidden {
		t.Errorf("an inspector: %d", r.Code)
	}
	if r := filer.sendFile("a.csv", []byte(goodFile), url.Values{"key": {newKey()}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); r.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", r.Code)
	}
	admin := w.as("admin")
	admin.shows(admin.page("/access?person=filer"), "/upload", "step=record", "step=check", "sha256=")
}

// TestUploadMixed: communes and the district that sums them stand in one file, as JSON too; the file to fill in has a row for
// each report its reader owes, and is taken back.
func TestUploadMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, u := range []domain.UnitCode{"25741", "25744"} {
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.GrantRole(ctx, c, "district", domain.RoleFiler, u, w.clock.Now(), nil)
		})
	}
	district := w.as("district")
	form := district.want(http.MethodGet, "/upload/form.csv?date=2021-02-08&lang=en", nil, http.StatusOK)
	if got := form.Header().Get("Content-Disposition"); got != `attachment; filename="answerable-2021-02-08.csv"` || !strings.HasPrefix(form.Header().Get("Content-Type"), "text/csv") {
		t.Error(form.Header())
	}
	text := form.Body.String()
	for _, row := range []string{"25741,commune,", "25744,commune,", "718,district,", "smartphone_users"} {
		if !strings.Contains(text, row) {
			t.Errorf("no %q in %s", row, text)
		}
	}
	if strings.Contains(text, "25819") {
		t.Errorf("another's row: %s", text)
	}
	if vi := district.want(http.MethodGet, "/upload/form.csv?date=2021-02-08&lang=vi", nil, http.StatusOK).Body.String(); !strings.HasPrefix(vi, "\ufeffunit;form;") {
		t.Error(vi)
	}
	root := district.checks("day.json", `[{"unit":"718","form":"district","figures":{"agencies_reached":12}},{"unit":"25741","form":"commune","figures":{"smartphone_users":8000,"installed":4000,"new_today":100}},{"unit":"25744","form":"commune","nil":true}]`, http.StatusOK)
	district.shows(root, "3 báo cáo", "sổ tự cộng từ cấp dưới", "Phú Lợi")
	_, record := district.form(root, "/upload", url.Values{"step": {"record"}})
	district.shows(district.parsed("/upload", district.sendFile("", nil, record)), "3 báo cáo đã ghi vào sổ")
	r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "district", Unit: "718", Date: testDay})
	w.ok(err)
	if len(r.Versions) != 1 || r.Versions[0].Content.Figures["installed"] != 4000 || r.Versions[0].Channel != domain.ChannelWeb {
		t.Errorf("%+v", r.Versions)
	}
}
