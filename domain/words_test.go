package domain

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestEveryCodeHasWords in both languages, and no text in Vietnamese names a code.
func TestEveryCodeHasWords(t *testing.T) {
	t.Parallel()
	for of, codes := range Words() {
		for code, w := range codes {
			if w.Vi == "" || w.En == "" || !norm.NFC.IsNormalString(w.Vi) {
				t.Errorf("%s %s: %+v", of, code, w)
			}
			if strings.ContainsRune(w.Vi, '_') || strings.ContainsRune(w.En, '_') {
				t.Errorf("%s %s: %+v", of, code, w)
			}
		}
	}
	for _, x := range []struct {
		fault  Fault
		vi, en string
	}{
		{NewFault(CodeNoteNeeded, "", "rule", string(FindingDenominator), "was", "8000", "is", "9000"), "mẫu số thay đổi trên một phần mười: trước 8000, nay 9000", "a denominator moved by more than a tenth: was 8000, is 9000"},
		{NewFault(CodeNoBreach, "", "breach", string(BreachLate), "unit", "25741"), "“báo cáo trễ hạn”", "“late”"},
		{NewFault(CodeJSON, "", "detail", "character 'x' (byte 7)"), "ký tự không đúng chỗ 'x' (byte 7)", "a character that does not belong there 'x' (byte 7)"},
		{NewFault(CodeCSV, "", "detail", "bare_quote"), "dấu ngoặc kép nằm trong ô", "a quotation mark inside a cell"},
		{NewFault(CodeType, "", "want", "integer, null"), "cần số nguyên, null", "integer, null is wanted"},
		{NewFault(CodeScope, "", "scope", "own_staff", "expected", "territory"), "nội bộ cơ quan vào phạm vi trên địa bàn", "own staff cannot be added to scope territory"},
		{NewFault(CodeChoice, "", "value", "late"), "“late”", "“late”"}, // what a caller wrote stays as it is
	} {
		if vi, en := x.fault.Text(Vietnamese), x.fault.Text(English); !strings.Contains(vi, x.vi) || !strings.Contains(en, x.en) {
			t.Errorf("%s: %s / %s", x.fault.Code, vi, en)
		}
	}
}
