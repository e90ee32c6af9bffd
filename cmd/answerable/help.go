package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/answerable-ledger/answerable/domain"
)

// description says in one line what the program is.
const description = "A compliance ledger: what was owed, what came in when, who signed it, who is answerable."

// askedLanguage finds the language before the command line is parsed: --help and a command line that is not understood
// are answered in it too.
func askedLanguage(args []string, s *settings, env map[string]string) domain.Language {
	asked := ""
	if s != nil {
		asked = s.values["lang"]
	}
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--lang="); ok {
			asked = v
		} else if a == "--lang" && i+1 < len(args) {
			asked = args[i+1]
		}
	}
	return detectLanguage(asked, env)
}

// translate puts the texts of --help into Vietnamese. What has no translation stays as it is.
func translate(app *kong.Application) {
	words := helpWords()
	eachHelp(app.Node, func(text *string) {
		prose, example, _ := strings.Cut(*text, exampleMark)
		if rest, ok := strings.CutPrefix(*text, exampleMark[2:]); ok {
			prose, example = "", rest
		}
		if w, ok := words[prose]; ok {
			prose = w
		}
		if example != "" {
			_, lines, _ := strings.Cut(example, "\n")
			example = "Ví dụ:\n" + lines
			if prose != "" {
				example = "\n\n" + example
			}
		}
		*text = prose + example
	})
}

// exampleMark begins the examples of a command, which are the same in every language.
const exampleMark = "\n\nExample"

// eachHelp calls f with every text of a command and of those below it.
func eachHelp(n *kong.Node, f func(text *string)) {
	f(&n.Help)
	f(&n.Detail)
	for _, flag := range n.Flags {
		f(&flag.Help)
	}
	for _, p := range n.Positional {
		f(&p.Help)
	}
	for _, child := range n.Children {
		eachHelp(child, f)
	}
}

// printHelp is kong's printer, with its own few words in the reader's language.
func printHelp(lang domain.Language) kong.HelpPrinter {
	return func(options kong.HelpOptions, ctx *kong.Context) error {
		if lang != domain.Vietnamese {
			return kong.DefaultHelpPrinter(options, ctx)
		}
		var text bytes.Buffer
		out := ctx.Stdout
		ctx.Stdout = &text
		err := kong.DefaultHelpPrinter(options, ctx)
		ctx.Stdout = out
		if err != nil {
			return err
		}
		lines := strings.Split(text.String(), "\n")
		for i, line := range lines {
			switch {
			case line == "Flags:":
				lines[i] = "Tùy chọn:"
			case line == "Commands:":
				lines[i] = "Các lệnh:"
			case line == "Arguments:":
				lines[i] = "Đối số:"
			case strings.HasPrefix(line, "Usage: "):
				lines[i] = "Cách dùng: " + strings.TrimPrefix(line, "Usage: ")
			case strings.HasPrefix(line, "Run \"") && strings.HasSuffix(line, " --help\" for more information on a command."):
				lines[i] = "Chạy " + strings.TrimSuffix(strings.TrimPrefix(line, "Run "), " for more information on a command.") + " để xem hướng dẫn của từng lệnh."
			}
		}
		_, err = io.WriteString(out, strings.Join(lines, "\n"))
		return err
	}
}

// misunderstood is what the parser says of a command line, in the reader's language.
func misunderstood(err error, lang domain.Language) string {
	var usage usageError
	if errors.As(err, &usage) {
		return usage.in(lang)
	}
	text := err.Error()
	if flag, rest, ok := strings.Cut(text, ": expected duration"); ok {
		_, value, _ := strings.Cut(rest, "got ")
		value, _, _ = strings.Cut(strings.TrimPrefix(value, `"`), `"`)
		if lang == domain.Vietnamese {
			return fmt.Sprintf("%s %q không phải khoảng thời gian hợp lệ (ví dụ 720h)", flag, value)
		}
		return fmt.Sprintf("%s %q is no duration (an example is 720h)", flag, value)
	}
	if lang != domain.Vietnamese {
		return text
	}
	for _, w := range [][2]string{
		{"missing flags: ", "thiếu tùy chọn: "}, {"missing positional arguments ", "thiếu đối số "}, {"unexpected argument ", "không hiểu đối số "},
		{"unknown flag ", "không có tùy chọn "}, {"expected one of ", "cần một trong các lệnh "}, {"expected ", "cần "},
	} {
		if rest, ok := strings.CutPrefix(text, w[0]); ok {
			text = w[1] + rest
			break
		}
	}
	return strings.NewReplacer(", did you mean one of ", "; có phải là một trong ", ", did you mean ", "; có phải là ", " must be one of ", " phải là một trong ", " but got ", ", nhưng nhận được ", ": expected a valid 64 bit int", ": cần một số nguyên", ": expected ", ": cần ").Replace(text)
}
