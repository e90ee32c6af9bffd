package projections

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// A text is written as the general encoder writes it, wherever in it stands what has to be escaped.
func TestTextsAreQuoted(t *testing.T) {
	t.Parallel()
	letters := rapid.SampledFrom([]string{"a", "0", " ", "\x1f", "\x00", "\x7f", "\"", "\\", "!", "#", "[", "]", "ế", "\x80", "\xff", "𝄞", "plain text of some length"})
	rapid.Check(t, func(t *rapid.T) {
		var s string
		for _, x := range rapid.SliceOfN(letters, 0, 30).Draw(t, "letters") {
			s += x
		}
		want, _ := jsontext.AppendQuote([]byte("before"), s)
		if have := appendText([]byte("before"), s); !bytes.Equal(have, want) {
			t.Fatalf("%q, want %q", have, want)
		}
	})
	for i := range 256 { // every byte, in every place of eight
		for at := range 8 {
			s := []byte("abcdefgh")
			s[at] = byte(i)
			want, _ := jsontext.AppendQuote(nil, string(s))
			if have := appendText(nil, string(s)); !bytes.Equal(have, want) {
				t.Fatalf("%q, want %q", have, want)
			}
		}
	}
}
