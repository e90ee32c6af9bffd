package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every text of --help has its Vietnamese, and no translation is left over from a text that has changed.
func TestHelpIsInBothLanguages(t *testing.T) {
	t.Parallel()
	var c cli
	parser, err := kong.New(&c, kong.Name("answerable"), kong.Description(description))
	if err != nil {
		t.Fatal(err)
	}
	words := helpWords()
	used := map[string]bool{}
	eachHelp(parser.Model.Node, func(text *string) {
		prose, _, _ := strings.Cut(*text, exampleMark)
		if prose == "" || strings.HasPrefix(prose, "Example") {
			return
		}
		if used[prose] = true; strings.TrimSpace(words[prose]) == "" {
			t.Errorf("helpWords lacks %q", prose)
		}
	})
	for en, vi := range words {
		if !used[en] {
			t.Errorf("no command says any more: %q", en)
		}
		for _, flag := range strings.FieldsFunc(en, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
			if strings.HasPrefix(flag, "--") && !strings.Contains(vi, flag) {
				t.Errorf("%q lost %s", vi, flag)
			}
		}
	}
}

// Every message of usagef has its Vietnamese, with the same values.
func TestUsageIsInBothLanguages(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	words := usageWords()
	used := map[string]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "usagef" {
				return true
			}
			text, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: usagef is given no literal", e.Name())
				return true
			}
			format, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			if used[format] = true; words[format] == "" {
				t.Errorf("usageWords lacks %q (%s)", format, e.Name())
			}
			return true
		})
	}
	verbs := func(s string) (out string) {
		for i := range len(s) - 1 {
			if s[i] == '%' {
				out += s[i : i+2]
			}
		}
		return out
	}
	for en, vi := range words {
		if !used[en] {
			t.Errorf("nothing says any more: %q", en)
		}
		if verbs(en) != verbs(vi) {
			t.Errorf("%q and %q hold other values", en, vi)
		}
	}
}

func TestHelpInVietnamese(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, env []string
		want      []string
	}{
		{[]string{"--help"}, []string{"LANG=vi_VN.UTF-8"}, []string{"Cách dùng: answerable <command>", "Tùy chọn:", "Các lệnh:", "để xem hướng dẫn của từng lệnh."}},
		{[]string{"import", "--help"}, []string{"LC_ALL=vi_VN.UTF-8", "LANG=en_US.UTF-8"}, []string{"Nhận báo cáo của một ngày", "Đối số:", "Thư mục dữ liệu.", "Ví dụ:", "answerable import reports.csv"}},
		{[]string{"--lang", "vi", "token", "list", "--help"}, []string{"LANG=en_US.UTF-8"}, []string{"Liệt kê token", "Ví dụ:", "answerable token list"}},
		{[]string{"verify", "--help"}, []string{"ANSWERABLE_LANG=vi"}, []string{"Hiển thị hướng dẫn của lệnh."}},
		{[]string{"--lang=en", "verify", "--help"}, []string{"LANG=vi_VN.UTF-8"}, []string{"Usage: answerable verify", "Example:"}},
		{[]string{"history", "--unit", "1"}, []string{"LANG=vi_VN.UTF-8"}, []string{"thiếu tùy chọn: --date", "Xem 'answerable --help'."}},
		{[]string{"frobnicate"}, []string{"LANG=vi_VN.UTF-8"}, []string{"không hiểu đối số frobnicate"}},
		{[]string{"history", "--unit", "1", "--date", "x"}, []string{"LANG=vi_VN.UTF-8"}, []string{"--date \"x\" không phải ngày hợp lệ"}},
	} {
		var out strings.Builder
		run(t.Context(), c.args, c.env, stdio{strings.NewReader(""), &out, &out})
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v %v: no %q in\n%s", c.env, c.args, want, out.String())
			}
		}
	}
}
