package intake

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
)

// Text brings a text a person wrote to NFC and judges it: valid UTF-8, at most domain.MaxTextBytes, no control
// characters but tab and line feed (a carriage return before a line feed is dropped), and something in it when it is
// required. PostgreSQL and spreadsheets cannot hold the characters that are refused.
func Text(pointer, s string, required bool) (string, []domain.Fault) {
	if len(s) > domain.MaxTextBytes*4 || !utf8.ValidString(s) { // NFC makes no text more than three times shorter
		return "", []domain.Fault{tooLong(pointer)}
	}
	s = norm.NFC.String(strings.ReplaceAll(s, "\r\n", "\n"))
	switch {
	case len(s) > domain.MaxTextBytes:
		return "", []domain.Fault{tooLong(pointer)}
	case strings.ContainsFunc(s, isControl):
		return "", []domain.Fault{domain.NewFault(domain.CodeTextControl, pointer)}
	case required && strings.TrimSpace(s) == "":
		return "", []domain.Fault{domain.NewFault(domain.CodeTextMissing, pointer)}
	}
	return s, nil
}

func tooLong(pointer string) domain.Fault {
	return domain.NewFault(domain.CodeTextTooLong, pointer, "max", strconv.Itoa(domain.MaxTextBytes))
}

func isControl(c rune) bool {
	return c < 0x20 && c != '\t' && c != '\n' || 0x7f <= c && c < 0xa0
}
