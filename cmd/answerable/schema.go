package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/schemas/release"
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
	if _, err := fs.Stat(source, release.LockName); c.Source == sourceFolder && errors.Is(err, fs.ErrNotExist) {
		return checkBuilt(a)
	}
	lock, err := release.Lock(source)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s holds no schemas: run this in the program's source, or name its folder with --source", c.Source)
	}
	if err != nil {
		return err
	}
	if built, err := fs.ReadFile(schemas.Files(), release.LockName); err != nil || string(built) != string(lock) {
		return errors.Join(fmt.Errorf("%s: this program was built from other schemas; build it anew", filepath.Join(c.Source, release.LockName)), err)
	}
	registry, err := schemas.Load() // every hop and every form
	if err != nil {
		return err
	}
	chains, err := release.Chains(source)
	if err != nil {
		return err
	}
	samples, err := release.Samples(source, registry)
	if err != nil {
		return err
	}
	a.printf("Đúng: %d loại và biểu mẫu, mỗi phiên bản đều đọc được; %d mẫu.\n", "Good: %d kinds and forms, each version of them can be read; %d samples.\n", chains, samples)
	return nil
}

// checkBuilt checks what the program carries with it, where its source is not: on the machine of who operates it.
func checkBuilt(a *app) error {
	built := schemas.Files()
	if _, err := release.Lock(built); err != nil {
		return err
	}
	if _, err := schemas.Load(); err != nil {
		return err
	}
	chains, err := release.Chains(built)
	if err != nil {
		return err
	}
	a.printf("Đúng: chương trình này đọc được mọi phiên bản của %d loại và biểu mẫu; mẫu nằm trong mã nguồn.\n", "Good: this program reads every version of %d kinds and forms; their samples are in its source.\n", chains)
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
	last, err := release.Newest(source, path)
	if err != nil {
		return fmt.Errorf("%q is neither a kind of event nor a form of %s: %w", c.Name, c.Source, err)
	}
	out, err := release.Next(source, path, last)
	if err != nil {
		return err
	}
	next := last + 1
	file := filepath.Join(c.Source, filepath.FromSlash(release.File(path, next)))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(out)
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
