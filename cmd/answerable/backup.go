package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"
	_ "modernc.org/sqlite" // the driver of database/sql

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

type backupCmd struct {
	dataFlag
	To string `arg:"" help:"Directory to write the copy to; it must not exist or be empty." placeholder:"DIR"`
}

func (backupCmd) Help() string {
	return `Copies the log, the tokens and the tree of the transparency log, each as it stands at one instant, also while the server runs. The views are not copied: they are made again from the log. Keys are not copied: keep a copy of them apart. The guard must not be copied: it is what finds out that an old backup was put back. The copy is opened and counted before the command says that it is done.

Example:
  answerable backup --data ./ledger ./backup-2021-02-10`
}

func (c backupCmd) Run(a *app) error {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	if place := a.server(logURLKey); place != "" {
		return usagef("the log is on %s: back it up there, as docs/operations.md says", hidePassword(place))
	}
	log, err := a.openLog(dir)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := emptyDir(c.To); err != nil {
		return err
	}
	if err := log.Backup(a.ctx, filepath.Join(c.To, ledgerFile)); err != nil {
		return err
	}
	state := filepath.Join(dir, stateFile)
	if _, err := os.Stat(state); err == nil {
		if err := copyDatabase(state, filepath.Join(c.To, stateFile)); err != nil {
			return err
		}
	}
	if err := backupEvidence(dir, c.To, a.server(postgresURLKey) == ""); err != nil {
		return err
	}
	copied, err := a.openLog(c.To)
	if err != nil {
		return err
	}
	head, err := copied.Head(a.ctx)
	if err = errors.Join(err, copied.Close()); err != nil {
		return err
	}
	backedUp{At: a.now().UTC(), To: c.To, Head: head.String()}.remember(a, dir)
	a.printf("Đã sao lưu %s vào %s: đến sự kiện %s.\n", "Copied %s to %s: up to event %s.\n", dir, c.To, head)
	return nil
}

// backupFile remembers the last backup of a directory that the command made. Like verifiedFile it is a remark: who copies
// the directory by other means is not known of, and the page of operations says so.
const backupFile = "backup.json"

type backedUp struct {
	At   time.Time `json:"at"`
	To   string    `json:"to"`
	Head string    `json:"head"`
}

func (b backedUp) remember(a *app, dir string) {
	text, err := json.Marshal(b, json.Deterministic(true))
	if err == nil {
		err = treestore.WriteFileSync(filepath.Join(dir, backupFile), append(text, '\n'), 0o644)
	}
	if err != nil { // the copy is whole all the same
		a.logger.Warn("the backup is not remembered", zap.String("data", dir), zap.Error(err))
	}
}

// lastBackup is the zero value where none is known of.
func lastBackup(dir string) ui.BackupState {
	var b backedUp
	text, err := os.ReadFile(filepath.Join(dir, backupFile))
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return ui.BackupState{}
	}
	return ui.BackupState{At: b.At, To: b.To, Head: b.Head}
}

// backupEvidence copies the tree, where it lies in the directory, and the policy, and says in the copy's evidence.json where
// keys and guard really are.
func backupEvidence(dir, to string, withTree bool) error {
	p, ok, err := readEvidence(dir)
	if err != nil || !ok {
		return err
	}
	if withTree {
		if err := copyDatabase(filepath.Join(dir, treeFile), filepath.Join(to, treeFile)); err != nil {
			return err
		}
		// After the database: the leaves it speaks of are there then, and those added meanwhile lie beyond its end.
		if err := copyFile(filepath.Join(dir, leavesFile), filepath.Join(to, leavesFile)); err != nil && !errors.Is(err, os.ErrNotExist) { // an older version's tree has none until it is opened
			return err
		}
	}
	if err := copyFile(p.path(p.Policy), filepath.Join(to, policyFile)); err != nil {
		return err
	}
	q := evidencePlace{evidenceConfig: p.evidenceConfig, dir: to}
	q.Policy = policyFile
	if q.Keys, err = filepath.Abs(p.path(p.Keys)); err != nil {
		return err
	}
	if q.Guard, err = filepath.Abs(p.path(p.Guard)); err != nil {
		return err
	}
	return q.write()
}

type restoreCmd struct {
	From string `arg:"" help:"Directory that backup wrote." placeholder:"BACKUP"`
	Data string `help:"Data directory to make; it must not exist or be empty." required:"" placeholder:"DIR"`
}

func (restoreCmd) Help() string {
	return `Copies a backup into a new data directory and makes the views again. An existing directory is never overwritten.

Example:
  answerable restore ./backup-2021-02-10 --data ./ledger2`
}

func (c restoreCmd) Run(a *app) error {
	a.local = true
	from, err := a.openLog(c.From)
	if err != nil {
		return err
	}
	if err := from.Close(); err != nil {
		return err
	}
	if err := emptyDir(c.Data); err != nil {
		return err
	}
	for _, name := range []string{stateFile, treeFile, leavesFile, policyFile, evidenceFile, ledgerFile} { // the ledger last: a directory without one is not a data directory
		if _, err := os.Stat(filepath.Join(c.From, name)); errors.Is(err, os.ErrNotExist) && name != ledgerFile {
			continue
		}
		if err := copyFile(filepath.Join(c.From, name), filepath.Join(c.Data, name)); err != nil {
			return err
		}
	}
	n, err := a.openNode(a.ctx, c.Data, a.now)
	if err != nil {
		return err
	}
	head, err := n.log.Head(a.ctx)
	if err == nil {
		err = n.views.CatchUp(a.ctx)
	}
	if err = errors.Join(err, n.close()); err != nil {
		return err
	}
	a.printf("Đã khôi phục vào %s: đến sự kiện %s.\n", "Restored to %s: up to event %s.\n", c.Data, head)
	return nil
}

// emptyDir makes a directory, or takes one that has nothing in it.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return usagef("%s is not empty; it is left as it is", dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// copyDatabase copies an SQLite file as it stands at one instant, also while it is written.
func copyDatabase(from, to string) error {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: from}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	_, err = db.Exec(`VACUUM INTO ?`, to)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return syncPath(to)
}

// copyFile copies a file nobody changes (it may grow), and makes the copy durable.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return syncPath(filepath.Dir(to))
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
