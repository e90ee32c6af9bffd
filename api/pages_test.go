package api

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/commands"
)

// TestPages renders every page of a world in which everything has happened, in both languages, and reads the HTML.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{demo: true})
	w.submit()
	w.want(ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: `{"figures":{"smartphone_users":1234567,"installed":4001,"new_today":100},"replaces":1,"correction":"content","reason":"<img src=x onerror=alert(1)>","note":"</table><b>"}`}, 201)
	w.want(ask{as: "district", method: "PUT", path: "/v1/regimes/bluezone/reports/district/718/2021-02-08", body: `{"figures":{"agencies_reached":12}}`}, 201)
	w.clock.Set(clockAt("18:00:00"))
	if _, err := (&commands.Closer{Ledger: w.ledger, Parallel: 1}).CloseDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/?date=2021-02-08", []string{"Bảng theo dõi ngày", "Thủ Dầu Một", "Đúng hạn", "Thiếu", "Đã khóa", "Số liệu và nhân sự"}},
		{"/?date=2021-02-08&lang=en", []string{"The day's board", "On time", "Missing", "Closed", "synthetic"}},
		{"/?date=2021-02-08&area=718", []string{"Phú Lợi", "Tất cả địa bàn"}},
		{"/?date=2021-02-08&known_at=2021-02-08T07%3A00", []string{"Bạn đang xem quá khứ", "07:00:00 08/02/2021", "Chưa đến hạn"}},
		{"/?date=2021-02-20", []string{"Ngày này chưa được mở."}},
		{"/units/25741?date=2021-02-08", []string{`Hiệp Thành <script>alert("x")</script>`, "1.234.567", "Bản 2", "<img src=x onerror=alert(1)>", "</table><b>", `Người head "'<b>&`, "Đính chính", "Không ký duyệt"}},
		{"/units/25741?date=2021-02-08&lang=en", []string{"1,234,567", "Version 2", "Who answers", "Corrected"}},
		{"/units/25741?date=2021-02-08&known_at=2021-02-08T07%3A59%3A59", []string{"Chưa gửi báo cáo."}},
		{"/units/718?date=2021-02-08", []string{"Tổng hợp từ (1)", "Khuyết chức vụ"}},
		{"/units/so_y_te?date=2021-02-08", []string{"Đơn vị không có nghĩa vụ"}},
		{"/units/25741?date=2021-02-20", []string{"Đơn vị không có nghĩa vụ"}},
		{"/breaches", []string{"Phú Lợi", "Không báo cáo", "Còn hiệu lực"}},
		{"/breaches?date=2021-02-08&unit=25744&lang=en", []string{"Missing", "Standing", "Vacant"}},
		{"/synthesis?date=2021-02-08", []string{"trên địa bàn", "Đơn vị thiếu (2)", "Thủ Dầu Một"}},
		{"/synthesis?date=2021-02-08&area=718&lang=en", []string{"Installation in the commune", "Received"}},
	} {
		r := w.want(ask{path: c.path}, 200)
		if ct := r.Header().Get("Content-Type"); ct != htmlType {
			t.Errorf("%s: %s", c.path, ct)
		}
		text, scripts := textOf(t, r.Body.String())
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q:\n%s", c.path, want, text)
			}
		}
		if scripts > 0 {
			t.Errorf("%s holds %d scripts, images or handlers", c.path, scripts)
		}
		for _, key := range []string{"sign.", "status.", "kind.", "role.", "channel.", "outcome.", "breach.", "scope.", "mark.", "%!", "ZgotmplZ"} {
			if strings.Contains(text, " "+key) {
				t.Errorf("%s shows a key: %s", c.path, key)
			}
		}
	}
}

// textOf parses a page as a browser would, and counts what may not be in it.
func textOf(t *testing.T, page string) (text string, active int) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			b.WriteString(strings.Join(strings.Fields(n.Data), " ") + " ")
		case html.ElementNode:
			switch n.Data {
			case "script", "img", "style", "iframe", "object":
				active++
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") {
					active++
				}
			}
		}
	}
	return b.String(), active
}

func TestPagesNeedATokenElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, path := range []string{"/", "/units/25741", "/breaches", "/synthesis"} {
		r := w.want(ask{path: path}, http.StatusUnauthorized)
		if text, _ := textOf(t, r.Body.String()); !strings.Contains(text, "Chưa đăng nhập") || r.Header().Get("WWW-Authenticate") == "" {
			t.Error(text)
		}
		w.want(ask{as: "inspector", path: path}, 200)
	}
	// In the demonstration the pages are open, and nothing else is.
	open := newWorld(t, options{demo: true})
	open.want(ask{path: "/"}, 200)
	open.want(ask{path: "/v1/regimes"}, 401)
	open.want(ask{path: "/", headers: map[string]string{"Authorization": "Bearer wrong"}}, 401)
}

// TestPagesArePacked: who takes gzip is sent a tenth of a page; who does not, the page; and a cache tells them apart.
func TestPagesArePacked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{demo: true})
	w.submit()
	const path = "/units/25741?date=2021-02-08"
	plain := w.want(ask{path: path}, 200)
	packed := w.want(ask{path: path, headers: map[string]string{"Accept-Encoding": "gzip"}}, 200)
	if plain.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("%v\n%v", plain.Header(), packed.Header())
	}
	for _, r := range []*httptest.ResponseRecorder{plain, packed} {
		if !slices.Contains(r.Header().Values("Vary"), "Accept-Encoding") || r.Header().Get("Content-Length") != strconv.Itoa(r.Body.Len()) {
			t.Errorf("%d bytes: %v", r.Body.Len(), r.Header())
		}
	}
	short := packed.Body.Len()
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(body), "</html>") || 2*short > len(body) {
		t.Errorf("%d bytes packed, %d unpacked, %v", short, len(body), err)
	}
}

func TestErrorPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{demo: true})
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/units/99999":                {404, "Không có đơn vị này;"},
		"/units/99999?lang=en":        {404, "There is no such unit;"},
		"/units/A%20B":                {404, "Không có đơn vị này;"},
		"/?date=x":                    {400, "Tham số “date” không hợp lệ"},
		"/?regime=other":              {404, "Không có chế độ báo cáo này."},
		"/breaches?cursor=x":          {400, "Dấu trang"},
		"/?<script>=1":                {400, "Không có tham số “<script>” ở đây."},
		"/synthesis?known_at=tuesday": {400, "known_at"},
	} {
		r := w.want(ask{path: path}, want.status)
		if text, active := textOf(t, r.Body.String()); !strings.Contains(text, want.text) || active > 0 {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestLanguageIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{demo: true})
	if r := w.want(ask{path: "/"}, 200); !strings.Contains(r.Body.String(), `<html lang="vi">`) {
		t.Error("Vietnamese is first")
	}
	r := w.want(ask{path: "/?lang=en"}, 200)
	cookie := r.Result().Cookies()[0]
	if cookie.Name != languageCookie || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Error(cookie)
	}
	if r := w.want(ask{path: "/", headers: map[string]string{"Cookie": "lang=en"}}, 200); !strings.Contains(r.Body.String(), `<html lang="en">`) {
		t.Error("the cookie is not looked at")
	}
	if r := w.want(ask{path: "/?lang=vi", headers: map[string]string{"Cookie": "lang=en"}}, 200); !strings.Contains(r.Body.String(), `<html lang="vi">`) {
		t.Error("the toggle does not go back")
	}
}

func TestStyle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, version := w.handler.pages.Style()
	if r := w.want(ask{path: "/assets/app.css?v=" + version}, 200); !strings.Contains(r.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/css") {
		t.Error(r.Header())
	}
	if r := w.want(ask{path: "/assets/app.css?v=old"}, 200); strings.Contains(r.Header().Get("Cache-Control"), "immutable") {
		t.Error(r.Header())
	}
}
