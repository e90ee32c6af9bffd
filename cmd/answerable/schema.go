package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

type schemaCmd struct {
	Check schemaCheckCmd `cmd:"" help:"Check that everything ever released can still be read."`
	New   schemaNewCmd   `cmd:"" help:"Begin the next version of an event or of a form."`
	Use   schemaUseCmd   `cmd:"" help:"Which versions of the forms are in use."`
}

// sourceFlag is where the program's source keeps its schemas.
type sourceFlag struct {
	Source string `help:"The folder of the schemas in the program's source." default:"schemas" placeholder:"DIR"`
}

// sourceFolder is where they are unless it is said otherwise.
const sourceFolder = "schemas"

// lockName is the file with the hash of everything released.
const lockName = "LOCK"

type schemaCheckCmd struct {
	sourceFlag
}

func (schemaCheckCmd) Help() string {
	return `In the program's source: nothing that was released has changed (schemas/LOCK), every kind and form has each version from 1 to the current one, this program was built from these files, and the sample of every released version is read, brought to the current version and fits its schema. Elsewhere: the same of what this program carries with it, without the samples. Exits with 1 and names the first problem.

Example:
  go run ./cmd/answerable schema check`
}

func (c schemaCheckCmd) Run(a *app) error {
	source := os.DirFS(c.Source)
	if _, err := fs.Stat(source, lockName); c.Source == sourceFolder && errors.Is(err, fs.ErrNotExist) {
		return checkBuilt(a)
	}
	lock, err := checkLock(source)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s holds no schemas: run this in the program's source, or name its folder with --source", c.Source)
	}
	if err != nil {
		return err
	}
	if built, err := fs.ReadFile(schemas.Files(), lockName); err != nil || string(built) != string(lock) {
		return errors.Join(fmt.Errorf("%s: this program was built from other schemas; build it anew", filepath.Join(c.Source, lockName)), err)
	}
	registry, err := schemas.Load() // every hop and every form
	if err != nil {
		return err
	}
	chains, err := checkChains(source)
	if err != nil {
		return err
	}
	samples, err := checkSamples(source, registry)
	if err != nil {
		return err
	}
	a.printf("Đúng: %d loại và biểu mẫu, mỗi phiên bản đều đọc được; %d mẫu.\n", "Good: %d kinds and forms, each version of them can be read; %d samples.\n", chains, samples)
	return nil
}

// checkBuilt checks what the program carries with it, where its source is not: on the machine of who operates it.
func checkBuilt(a *app) error {
	built := schemas.Files()
	if _, err := checkLock(built); err != nil {
		return err
	}
	if _, err := schemas.Load(); err != nil {
		return err
	}
	chains, err := checkChains(built)
	if err != nil {
		return err
	}
	a.printf("Đúng: chương trình này đọc được mọi phiên bản của %d loại và biểu mẫu; mẫu nằm trong mã nguồn.\n", "Good: this program reads every version of %d kinds and forms; their samples are in its source.\n", chains)
	return nil
}

// checkLock compares every schema file with its line.
func checkLock(source fs.FS) ([]byte, error) {
	lock, err := fs.ReadFile(source, lockName)
	if err != nil {
		return nil, fmt.Errorf("this is to be run in the program's source, or with --source: %w", err)
	}
	locked := map[string]string{}
	for line := range strings.Lines(string(lock)) {
		sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return nil, fmt.Errorf("%s: line %q is no hash, two spaces and path", lockName, line)
		}
		locked[path] = sum
	}
	for _, folder := range []string{"defs", "events", "forms", "meta"} {
		err := fs.WalkDir(source, folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(source, path)
			if err != nil {
				return err
			}
			hash := sha256.Sum256(text)
			sum := hex.EncodeToString(hash[:])
			switch locked[path] {
			case sum:
				delete(locked, path)
				return nil
			case "":
				return fmt.Errorf("%s is not in %s; to release it add, sorted by path, the line\n%s  %s", path, lockName, sum, path)
			}
			return fmt.Errorf("%s was released and has changed: facts under it are recorded; undo that and begin a new version", path)
		})
		if err != nil {
			return nil, err
		}
	}
	for path := range locked {
		return nil, fmt.Errorf("%s was released and is gone", path)
	}
	return lock, nil
}

// checkChains wants every version from 1 on, and of events no other than those up to the current one.
func checkChains(source fs.FS) (int, error) {
	n := 0
	for _, folder := range []string{"events", "forms"} {
		names, err := fs.ReadDir(source, folder)
		if err != nil {
			return n, err
		}
		for _, name := range names {
			n++
			path := folder + "/" + name.Name()
			last, err := lastVersion(source, path)
			if err != nil {
				return n, err
			}
			if folder != "events" {
				continue
			}
			if current, ok := schemas.CurrentVersion(name.Name()); !ok || current != last {
				return n, fmt.Errorf("%s: the newest version is %d, the program writes %d (see CurrentVersion)", path, last, current)
			}
		}
	}
	for _, kind := range schemas.Kinds() {
		if _, err := fs.Stat(source, "events/"+kind); err != nil {
			return n, fmt.Errorf("%s has no schema: %w", kind, err)
		}
	}
	return n, nil
}

// lastVersion is the newest in a folder, which holds each from 1 on and nothing else.
func lastVersion(source fs.FS, path string) (int, error) {
	files, err := fs.ReadDir(source, path)
	if err != nil {
		return 0, err
	}
	for v := 1; v <= len(files); v++ {
		if _, err := fs.Stat(source, versionFile(path, v)); err != nil {
			return 0, fmt.Errorf("%s: %d files, and version %d is not among them", path, len(files), v)
		}
	}
	return len(files), nil
}

func versionFile(path string, version int) string {
	return path + "/" + strconv.Itoa(version) + ".json"
}

// sample is a recorded event as a file keeps it.
type sample struct {
	ID         uuid.UUID      `json:"id"`
	Stream     string         `json:"stream"`
	Revision   uint64         `json:"revision"`
	RecordedAt time.Time      `json:"recorded_at"`
	Kind       string         `json:"kind"`
	Data       jsontext.Value `json:"data"`
	Meta       jsontext.Value `json:"meta"`
}

// checkSamples reads the sample of every version, brings it to the current one, and judges what comes out by its schema.
func checkSamples(source fs.FS, registry *schemas.Registry) (int, error) {
	n := 0
	for _, kind := range schemas.Kinds() {
		current, _ := schemas.CurrentVersion(kind)
		for v := 1; v <= current; v++ {
			path := "testdata/golden/" + kind + "-" + strconv.Itoa(v) + ".json"
			text, err := fs.ReadFile(source, path)
			if err != nil {
				return n, fmt.Errorf("version %d of %s has no sample: %w", v, kind, err)
			}
			if err := checkSample(text, registry); err != nil {
				return n, fmt.Errorf("%s: %w", path, err)
			}
			n++
		}
	}
	return n, nil
}

func checkSample(text []byte, registry *schemas.Registry) error {
	var s sample
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	f, err := schemas.Decode(schemas.Source{Stream: s.Stream, Revision: s.Revision, RecordedAt: s.RecordedAt,
		Stored: schemas.Stored{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta}})
	if err != nil {
		return err
	}
	stored, err := schemas.Encode(f)
	if err != nil {
		return fmt.Errorf("brought to the current version: %w", err)
	}
	if err := registry.ValidateEvent(stored); err != nil {
		return fmt.Errorf("brought to the current version it does not fit its schema: %v", err) // not as what somebody sent
	}
	return nil
}

type schemaNewCmd struct {
	sourceFlag
	Name string `arg:"" help:"Kind of event, such as ReportSubmitted, or form, such as commune."`
}

func (schemaNewCmd) Help() string {
	return `In the program's source: writes the next version of a schema as a copy of the newest, and says what else a new version takes.

Example:
  go run ./cmd/answerable schema new commune`
}

func (c schemaNewCmd) Run(a *app) error {
	source := os.DirFS(c.Source)
	folder := "forms"
	if slices.Contains(schemas.Kinds(), c.Name) {
		folder = "events"
	} else if !domain.ValidID(c.Name) {
		return usagef("%q is neither a kind of event nor a form", c.Name)
	}
	path := folder + "/" + c.Name
	last, err := lastVersion(source, path)
	if err != nil {
		return fmt.Errorf("%q is neither a kind of event nor a form of %s: %w", c.Name, c.Source, err)
	}
	text, err := fs.ReadFile(source, versionFile(path, last))
	if err != nil {
		return err
	}
	next := last + 1
	id := func(v int) string { return fmt.Sprintf(`/schemas/%s/%d"`, path, v) }
	out := strings.Replace(string(text), id(last), id(next), 1)
	if folder == "forms" {
		out = strings.Replace(out, fmt.Sprintf(`"version": %d,`, last), fmt.Sprintf(`"version": %d,`, next), 1)
	}
	file := filepath.Join(c.Source, filepath.FromSlash(versionFile(path, next)))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(out)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	a.printf("Đã tạo %s, bản sao của phiên bản %d. Việc tiếp theo:\n", "Made %s, a copy of version %d. What is next:\n", file, last)
	steps := []string{
		a.say("Sửa tệp này; các phiên bản đã phát hành giữ nguyên.", "Edit this file; the versions that were released stay as they are."),
	}
	if folder == "events" {
		steps = append(steps,
			a.say(fmt.Sprintf("Sửa kiểu %s trong domain, và nâng CurrentVersion lên %d trong schemas/decode.go.", c.Name, next), fmt.Sprintf("Change the type %s in domain, and raise CurrentVersion to %d in schemas/decode.go.", c.Name, next)),
			a.say(fmt.Sprintf("Viết bước chuyển từ phiên bản %d trong schemas/upcast.go; bước chuyển không bịa ra điều chưa được ghi.", last), fmt.Sprintf("Write the hop from version %d in schemas/upcast.go; a hop makes up nothing that was not recorded.", last)),
			a.say("Thêm mẫu: go test ./schemas -add-golden", "Add its sample: go test ./schemas -add-golden"))
	} else {
		steps = append(steps, a.say("Báo cáo đã lập theo phiên bản cũ giữ phiên bản cũ; một văn bản sửa đổi chế độ báo cáo nêu phiên bản mới.", "Reports filed under the old version keep it; an amendment of the regime names the new one."))
	}
	steps = append(steps,
		a.say("Nếu các bảng tổng hợp hiện thêm điều gì: nâng foldVersion và khai báo trong projections/changes.json.", "If the views show anything new: raise foldVersion and declare it in projections/changes.json."),
		a.say("Phát hành: thêm dòng mà lệnh sau in ra vào LOCK: go run ./cmd/answerable schema check", "Release it: add to LOCK the line that this prints: go run ./cmd/answerable schema check"))
	for i, s := range steps {
		fmt.Fprintf(a.stdio.out, "%d. %s\n", i+1, s)
	}
	return nil
}

type schemaUseCmd struct {
	dataFlag
	Regime string `help:"Regime asked about." default:"bluezone" placeholder:"ID"`
	From   string `help:"First day." placeholder:"YYYY-MM-DD"`
	To     string `help:"Last day." placeholder:"YYYY-MM-DD"`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

func (schemaUseCmd) Help() string {
	return `Counts the obligations of some days by the version of the form that their newest report was filed under, so that an old version can be given up when nobody uses it.

Example:
  answerable schema use --data ./ledger --from 2021-02-08`
}

func (c schemaUseCmd) Run(a *app) error {
	from, err := date("from", c.From)
	if err != nil {
		return err
	}
	to, err := date("to", c.To)
	if err != nil {
		return err
	}
	return queryFlags{dataFlag: c.dataFlag}.ask(a, func(v *projections.Views, _ *time.Time) error {
		page, err := v.FormUse(a.ctx, domain.RegimeID(c.Regime), from, to)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(page)
		}
		t := a.table()
		t.row(a.say("BIỂU MẪU", "FORM"), a.say("PHIÊN BẢN", "VERSION"), a.say("BÁO CÁO", "REPORTS"))
		for _, u := range page.Uses {
			version := strconv.Itoa(u.Version)
			switch u.Version {
			case 0:
				version = a.say("chưa nộp", "nothing filed")
			case -1:
				version = a.say("chưa biết, đợi dựng lại", "not known until the rebuild")
			}
			t.row(u.Form, version, u.Reports)
		}
		return t.flush()
	})
}
