package main

import (
	"bytes"
	"errors"
	"os"

	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
)

// bundleFlags are those of export that make a bundle.
type bundleFlags struct {
	Evidence bool   `help:"Write a zip of everything recorded about a unit's duties of some days, with what proves it: 'notary verify' checks it without a network. It needs --unit, --from, --to and -o."`
	Regime   string `help:"Regime of the bundle." default:"bluezone" placeholder:"ID"`
	Unit     string `help:"Unit of the bundle." placeholder:"CODE"`
	From     string `help:"First day of the bundle." placeholder:"DATE"`
	To       string `help:"Last day of the bundle." placeholder:"DATE"`
}

// exportBundle writes the bundle that export was asked for. What it says depends on its output being a file: a receipt that
// is cut off proves nothing.
func (a *app) exportBundle(n *node, c bundleFlags, output string) (err error) {
	switch {
	case output == "-":
		return usagef("--evidence writes a file: name it with -o")
	case !domain.ValidID(c.Unit) || !domain.ValidID(c.Regime):
		return usagef("--evidence needs --unit, and a --regime: %q and %q are no such names", c.Unit, c.Regime)
	}
	for name, d := range map[string]string{"--from": c.From, "--to": c.To} {
		if _, err := domain.ParseDate(d); err != nil {
			return usagef("%s: %q is no date such as 2021-02-08", name, d)
		}
	}
	r, err := a.mustEvidenceReader(a.ctx, n.dir, n.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	views, err := a.openViews(a.ctx, n.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, views.Close()) }()
	s := documents.Sources{Streams: n.log, Answers: views, Evidence: r.desk, Decode: decodeEvent}
	for _, f := range n.registry.Forms() {
		s.Forms = append(s.Forms, f.ID)
	}
	var b bytes.Buffer
	q := documents.BundleQuery{Regime: domain.RegimeID(c.Regime), Unit: domain.UnitCode(c.Unit), From: domain.Date(c.From), To: domain.Date(c.To), Lang: a.lang, MadeAt: a.now()}
	if err := documents.WriteBundle(a.ctx, &b, s, q); err != nil {
		return err
	}
	if err := os.WriteFile(output, b.Bytes(), 0o600); err != nil {
		return err
	}
	a.printf("Đã ghi %s (%d byte). Kiểm tra: notary verify %s --policy %s\n", "Wrote %s (%d bytes). Check it: notary verify %s --policy %s\n", output, b.Len(), shellQuote(output), shellQuote(r.place.path(r.place.Policy)))
	return nil
}
