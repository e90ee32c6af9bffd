package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
)

type receiptCmd struct {
	dataFlag
	Event   string `help:"Id of the event, as a command answered it." required:"" placeholder:"ID"`
	Opening bool   `help:"Write the opening instead: content and salts, for those entitled to them."`
	Output  string `short:"o" help:"File to write; '-' is standard output." default:"-" placeholder:"FILE"`
}

func (receiptCmd) Help() string {
	return `Writes what proves that an event is in the ledger: a .tlog-proof that 'notary verify' checks anywhere, without this program and without a network. Before the first checkpoint covers the event, within a second or two of its recording, it is the bare entry. Works while the server runs.

Examples:
  answerable receipt --data ./ledger --event 0b3f… -o bien-nhan.tlog-proof
  answerable receipt --data ./ledger --event 0b3f… --opening -o bien-nhan.opening.json`
}

func (c receiptCmd) Run(a *app) error {
	id, err := uuid.Parse(c.Event)
	if err != nil {
		return usagef("--event: %q is no id of an event", c.Event)
	}
	return c.read(a, func(n *node) error { return c.write(a, n, id) })
}

func (c receiptCmd) write(a *app, n *node, id uuid.UUID) (err error) {
	r, err := a.mustEvidenceReader(a.ctx, n.dir, n.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	got, err := r.desk.Receipt(a.ctx, id)
	if errors.Is(err, receipts.ErrUnknown) {
		return a.fail("sổ không có sự kiện %s; mã sự kiện có trong câu trả lời của lệnh và trong 'answerable export'", "the ledger holds no such event as %s; its id is in what a command answered, and in 'answerable export'", id)
	}
	if err != nil {
		return err
	}
	out := got.Bytes
	if c.Opening {
		o, err := r.desk.Opening(a.ctx, got.Event)
		if err != nil {
			return err
		}
		if out, err = json.Marshal(o); err != nil {
			return err
		}
		out = append(out, '\n')
	}
	if c.Output == "-" {
		_, err = a.stdio.out.Write(out)
		return err
	}
	if err := os.WriteFile(c.Output, out, 0o600); err != nil {
		return err
	}
	level := a.say(map[transparency.Level]string{transparency.Recorded: "đã vào sổ, chưa có mốc", transparency.Logged: "đã vào mốc có chữ ký", transparency.Witnessed: "đã có nhân chứng"}[got.Level], got.Level.String())
	fmt.Fprintf(a.stdio.err, "%s: %s, %d %s\n", c.Output, level, len(out), a.say("byte", "bytes"))
	return nil
}
