package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// keyCmd changes the key that signs the transparency log.
type keyCmd struct {
	Begin  keyBeginCmd  `cmd:"" help:"Make the next key; from the next start on both sign."`
	Finish keyFinishCmd `cmd:"" help:"Sign with the next key alone from the next start on."`
}

type keyBeginCmd struct {
	Data string `help:"Data directory." required:"" placeholder:"DIR"`
}

func (keyBeginCmd) Help() string {
	return `Makes the next key and adds its public half to the policy. From the next start of the server on both keys sign, so that old and new policies accept; give the new policy to witnesses and to whoever checks receipts, and finish when all have it.

Example:
  answerable key begin --data ./ledger`
}

func (c keyBeginCmd) Run(a *app) error {
	p, err := rotating(c.Data)
	if err != nil {
		return err
	}
	k, err := transparency.CreateSigningKey(filepath.Join(p.path(p.Keys), nextKeyFile), p.Origin, transparency.AlgEd25519)
	if errors.Is(err, os.ErrExist) {
		return usagef("a change of key is under way already: finish it first")
	}
	if err != nil {
		return err
	}
	policy, err := os.ReadFile(p.path(p.Policy))
	if err != nil {
		return err
	}
	// The line goes first: the order of a policy's lines means nothing but that names are defined before they are used.
	if err := treestore.WriteFileSync(p.path(p.Policy), append([]byte("log "+k.String()+"\n"), policy...), 0o644); err != nil {
		return err
	}
	a.printf("Khóa mới: %s\nKhởi động lại máy chủ để cả hai khóa cùng ký; gửi %s cho các nhân chứng và người kiểm tra.\n",
		"The new key: %s\nStart the server again to have both keys sign; give %s to the witnesses and to whoever checks.\n", k, p.path(p.Policy))
	return nil
}

type keyFinishCmd struct {
	Data string `help:"Data directory." required:"" placeholder:"DIR"`
}

func (keyFinishCmd) Help() string {
	return `The old key no longer signs; its private half is kept under its id, to be destroyed by hand. Its public half stays in the policy, because what it signed must still be checked.

Example:
  answerable key finish --data ./ledger`
}

func (c keyFinishCmd) Run(a *app) error {
	p, err := rotating(c.Data)
	if err != nil {
		return err
	}
	current, next := filepath.Join(p.path(p.Keys), logKeyFile), filepath.Join(p.path(p.Keys), nextKeyFile)
	if _, err := transparency.LoadSigningKey(next); err != nil {
		return usagef("no change of key is under way: %v", err)
	}
	old, err := transparency.LoadSigningKey(current)
	if err != nil {
		return err
	}
	retired := filepath.Join(p.path(p.Keys), fmt.Sprintf("log-%08x.retired", old.ID))
	// Linked and then replaced, so that a crash in between leaves a key under every name that is looked for.
	if err := os.Link(current, retired); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Rename(next, current); err != nil {
		return err
	}
	if err := syncPath(p.path(p.Keys)); err != nil {
		return err
	}
	a.printf("Từ lần khởi động tới chỉ khóa mới ký. Khóa cũ: %s; hãy hủy khi không còn cần.\n", "From the next start on the new key signs alone. The old one is %s: destroy it when it is not needed.\n", retired)
	return nil
}

// rotating is the evidence of a directory whose key can be changed.
func rotating(dir string) (evidencePlace, error) {
	p, ok, err := readEvidence(dir)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, usagef("%s has no %s: this ledger was made without evidence", dir, evidenceFile)
	case p.Demo:
		return p, usagef("the demonstration's keys are known to everybody and are not changed")
	}
	return p, nil
}
