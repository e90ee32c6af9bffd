package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestOneDay is the story of a day across filer, head, district, department and inspector, without scripts.
func TestOneDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer, head, inspector, department, district := w.as("filer"), w.as("head"), w.as("inspector"), w.as("department"), w.as("district")

	// The card says what is owed and how long there is.
	root := filer.page("/today")
	filer.shows(root, "Chưa đến hạn, chưa gửi", "còn 7 giờ", "Hạn 15:00:00 08/02/2021", "Lập báo cáo")

	// What is wrong is said at its field, and what was typed stays.
	root = filer.page(report + "/file")
	root = filer.send(root, "/file", figures("8.000", "4000", "x"), http.StatusUnprocessableEntity)
	filer.shows(root, "Có vấn đề")
	for name, want := range map[string]string{"f_smartphone_users": "8.000", "f_installed": "4000", "f_new_today": "x"} {
		in := find(root, func(n *html.Node) bool { return n.Data == "input" && attr(n, "id") == name })
		if attr(in, "value") != want || (attr(in, "aria-invalid") == "true") == (name == "f_installed") {
			t.Errorf("%s: %q, invalid %q", name, attr(in, "value"), attr(in, "aria-invalid"))
		}
	}
	if link := find(root, func(n *html.Node) bool { return n.Data == "a" && attr(n, "href") == "#f_new_today" }); link == nil {
		t.Error("the summary does not lead to the field")
	}

	// Check, then send; sending twice is one report.
	check := filer.send(root, "/file", figures("8000", "4000", "100"), http.StatusOK)
	filer.shows(check, "Kiểm tra rồi gửi", "Gửi báo cáo ngày 08/02/2021")
	if r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay}); err != nil || len(r.Versions) != 0 {
		t.Fatal("the check recorded something", err)
	}
	root = filer.follow(check, "/file", url.Values{"step": {"send"}})
	filer.shows(root, "Phiếu nhận báo cáo", "Số đến", "Đúng hạn", "8.000", "Đã ghi vào sổ")
	filer.shows(filer.follow(check, "/file", url.Values{"step": {"send"}}), "Phiếu nhận báo cáo")
	filer.shows(filer.page("/today"), "Chờ ký")

	// The head sends it back; the filer corrects it, with a reason, and sees the difference.
	root = head.page("/queue")
	head.shows(root, "Hiệp Thành", "8.000")
	root = head.page(report + "/sign")
	head.shows(root, "Bạn ký đúng những điều sau", "8.000", "TM. Chủ tịch", `"digest":`, "Mã số liệu")
	head.send(root, "/return", nil, http.StatusUnprocessableEntity)
	head.follow(root, "/return", url.Values{"reason": {"Thiếu khu phố 3 " + hostile}})
	filer.shows(filer.page("/today"), "Người đứng đầu trả lại: Thiếu khu phố 3 "+hostile)
	root = filer.page(report + "/file")
	root = filer.send(root, "/file", figures("8000", "4100", "200"), http.StatusUnprocessableEntity)
	filer.shows(root, "Lý do đính chính")
	check = filer.send(root, "/file", url.Values{"reason": {"Bổ sung khu phố 3"}}, http.StatusOK)
	filer.shows(check, "4.000", "4.100", "thay đổi")
	filer.shows(filer.follow(check, "/file", url.Values{"step": {"send"}}), "Bản 2", "4.100", "Bổ sung khu phố 3")

	// The head signs exactly what they saw. Without the tick nothing is signed.
	root = head.page(report + "/sign")
	head.send(root, "/sign", nil, http.StatusUnprocessableEntity)
	head.send(root, "/sign", url.Values{"agree": {"1"}, "checkpoint": {"9 never signed"}}, http.StatusBadRequest)
	old, values := head.form(root, "/sign", url.Values{"agree": {"1"}, "digest": {strings.Repeat("0", 64)}})
	head.want(http.MethodPost, old, values, http.StatusPreconditionFailed)
	head.shows(head.follow(root, "/sign", url.Values{"agree": {"1"}}), "Không còn báo cáo nào chờ ký")
	head.shows(head.page(report+"/sign"), "Đã ký")
	head.shows(head.page("/answers"), "Chủ tịch", "4.100", "TM.")

	// The district urges the other commune and consolidates what there is.
	root = district.page("/district?unit=718")
	district.shows(root, "Phú Lợi", "Đôn đốc", "Tổng hợp và gửi")
	root = district.follow(root, "/25744/2021-02-08/remind", nil)
	district.shows(root, "Bị đôn đốc: 1")
	w.as("filer_b").shows(w.as("filer_b").page("/today"), "Bị đôn đốc: 1")
	root = district.page("/reports/bluezone/district/718/2021-02-08/file")
	check = district.send(root, "/file", url.Values{"f_agencies_reached": {"12"}}, http.StatusOK)
	district.follow(check, "/file", url.Values{"step": {"send"}})

	// A correction after that is seen: on the board, and by whoever asks.
	w.clock.Set(at(15, 10)) // everybody's session was idle too long
	filer, head, district = w.as("filer"), w.as("head"), w.as("district")
	root = filer.page(report + "/file")
	values = figures("8000", "4150", "250")
	values.Set("reason", "Rà soát lại")
	filer.follow(filer.send(root, "/file", values, http.StatusOK), "/file", url.Values{"step": {"send"}})
	w.settle()
	district.shows(district.page("/district?unit=718"), "Cấp dưới đã thay đổi sau khi tổng hợp", "Bản 2 → 3", "4.100 → 4.150", "Rà soát lại")
	root = head.page(report + "/sign")
	head.shows(root, "Bản đã ký trước 2", "4.100", "4.150", "thay đổi")

	// The day closes; the breach is explained by who answers, and judged by the department.
	w.clock.Set(at(18, 0))
	head, inspector, department = w.as("head"), w.as("inspector"), w.as("department")
	_, err := (&commands.Closer{Ledger: w.ledger, Parallel: 1}).CloseDue(context.Background())
	w.ok(err)
	w.settle()
	head.shows(head.page("/answers"), "Giải trình vi phạm")
	root = head.page(report + "/explain")
	head.shows(root, "Không ký duyệt đúng hạn")
	head.send(root, "/explain", nil, http.StatusUnprocessableEntity)
	head.shows(head.follow(root, "/explain", url.Values{"text": {"Đi họp " + hostile}}), "Đi họp "+hostile)
	root = department.page("/judgements?outcome=explained")
	department.shows(root, "Đi họp", "Đã giải trình")
	root = department.follow(root, "/excuse", url.Values{"reason": {"Chấp nhận"}})
	department.shows(root, "Đã chấp nhận lý do", "Chấp nhận")
	department.shows(department.page("/grid?from=2021-02-08&to=2021-02-08"), "Đ", "Tỷ lệ đúng hạn", "Phú Lợi")
	department.shows(department.page("/grid?from=2021-02-08&to=2021-02-08&known=deadline"), "lúc hết hạn")
	department.shows(department.page("/grid?from=2021-02-07&to=2021-02-08&known=synthesis"), "như đã biết khi tổng hợp", "Phú Lợi", "Đ* Đúng hạn", "20 %")
	department.shows(department.page("/progress?date=2021-02-08"), "60 %", "51")
	root = department.page("/totals?date=2021-02-08")
	number := find(root, func(n *html.Node) bool { return n.Data == "a" && strings.Contains(attr(n, "href"), "field=installed") })
	department.shows(department.page(attr(number, "href")), "Hiệp Thành", "4.150", "Chủ tịch", "Nguyễn head")
	department.want(http.MethodGet, "/chain?form=commune&field=x", nil, http.StatusBadRequest)
	// On one page from the province to the communes: of their reports by districts, and of the districts' reports what each
	// has pinned, though it was corrected since.
	root2 := department.page("/chain?date=2021-02-08&form=commune&field=installed")
	department.shows(root2, "Thủ Dầu Một : 4.150 (Tổng hợp từ 1)", "Ai chịu trách nhiệm: Nguyễn head")
	root2 = department.page("/chain?date=2021-02-08&form=district&field=installed")
	department.shows(root2, "Thủ Dầu Một : 4.100 (Tổng hợp từ 1)", "4.100 Bản 2", "Cấp dưới đã thay đổi sau khi tổng hợp: 3")
	department.shows(department.page("/chain?date=2021-02-08&form=district&field=installed&of=718"), "Thủ Dầu Một", "4.100 Bản 2")
	department.shows(department.follow(root, "/issue", url.Values{"to": {"Sở TTTT"}}), "Sở TTTT", "Số 1")
	department.shows(department.page("/operations"), "Không có luồng nào bị giữ")

	// The inspector asks what was known when.
	inspector.shows(inspector.page("/inspect?q=hiep+thanh&date=2021-02-08"), "Hiệp Thành")
	root = inspector.page("/reports/25741/2021-02-08?regime=bluezone")
	inspector.shows(root, "Bản 1", "Bản 2", "Bản 3", "thay đổi", "4.150", "Diễn biến", "Ai chịu trách nhiệm", "Hiện tại", "lúc hết hạn", "lúc khóa ngày")
	preset := find(root, func(n *html.Node) bool {
		return n.Data == "a" && strings.Contains(textOf(n), "lúc hết hạn")
	})
	root = inspector.page(attr(preset, "href"))
	inspector.shows(root, "Bạn đang xem quá khứ", "15:00:00 08/02/2021", "Bản 2")
	if strings.Contains(textOf(root), "4.150") {
		t.Error("the past shows what was not known then")
	}
	for what, want := range map[string]string{"breaches": "Phú Lợi", "changed": "Hiệp Thành", "deputy": "Không có dòng nào", "head_changed": "Không có dòng nào", "out_of_date": "Thủ Dầu Một"} {
		inspector.shows(inspector.page("/search?date=2021-02-08&what="+what), want)
	}
	// Another day has another address, and the time of knowledge stays.
	moved := inspector.want(http.MethodGet, "/reports/25741/2021-02-08?date=2021-02-07&known_at=2021-02-08T15:00:00%2B07:00&regime=bluezone", nil, http.StatusSeeOther)
	if to := moved.Header().Get("Location"); to != "/reports/25741/2021-02-07?known_at=2021-02-08T15%3A00%3A00%2B07%3A00&regime=bluezone" {
		t.Error(to)
	}
	page := inspector.page("/reports/25741/2021-02-08")
	control := find(page, func(n *html.Node) bool { return n.Data == "form" && attr(n, "class") == "asked" })
	before := find(page, func(n *html.Node) bool { return n.Data == "a" && attr(n, "rel") == "prev" })
	for _, to := range []string{attr(control, "action") + "?date=2021-02-07", attr(before, "href")} {
		to = inspector.want(http.MethodGet, to, nil, http.StatusSeeOther).Header().Get("Location")
		inspector.shows(find(inspector.page(to), func(n *html.Node) bool { return n.Data == "h1" }), "07/02/2021")
	}
	inspector.want(http.MethodGet, "/reports/25741/2021-02-08?date=yesterday", nil, http.StatusUnprocessableEntity)
	inspector.page("/reports/bluezone/commune/25741/2021-02-08/filed")
	inspector.shows(inspector.page("/access"), "/reports/bluezone/commune/25741/2021-02-08/filed", "/search?date=2021-02-08&what=changed", "/reports/25741/2021-02-08")
	w.as("admin").shows(w.as("admin").page("/access"), "inspector", "department")
}

// TestInterruption: an unusual figure needs a word before it is sent, and the word is recorded.
func TestInterruption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.Set(at(8, 0).AddDate(0, 0, -1))
	yesterday := strings.Replace(report, "02-08", "02-07", 1)
	filer := w.as("filer")
	root := filer.page(yesterday + "/file")
	filer.follow(filer.send(root, "/file", figures("8000", "4000", "100"), http.StatusOK), "/file", url.Values{"step": {"send"}})
	w.clock.Set(at(8, 0))
	filer = w.as("filer")
	root = filer.page(report + "/file")
	filer.shows(root, "Ngày 07/02/2021: 4.000")
	root = filer.send(root, "/file", figures("8000", "3000", "0"), http.StatusUnprocessableEntity)
	filer.shows(root, "Số liệu này có đúng không?", "trước 4000, nay 3000")
	check := filer.send(root, "/file", url.Values{"note": {"Trùng lặp"}, "step": {"check"}}, http.StatusOK)
	filer.shows(filer.follow(check, "/file", url.Values{"step": {"send"}}), "Ghi chú: Trùng lặp")
	root = filer.send(root, "/file", url.Values{"step": {"edit"}, "note": {"x"}}, http.StatusOK)
	in := find(root, func(n *html.Node) bool { return attr(n, "id") == "f_installed" })
	if attr(in, "value") != "3000" {
		t.Error("going back forgets what was typed")
	}
}
