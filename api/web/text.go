package web

import (
	"strings"

	"github.com/answerable-ledger/answerable/intake"
)

// typedText is a text a person wrote, as every way in takes it: NFC, without what no store can hold. What is wrong with it
// the ledger says.
func typedText(c *call, name string) string {
	raw := c.r.PostForm.Get(name)
	if s, faults := intake.Text("/"+name, raw, false); len(faults) == 0 {
		return strings.TrimSpace(s)
	}
	return raw
}
