package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/answerable-ledger/answerable"
	root   = "../.." // of the tree, from this package's folder
)

// pkg is a package as the go command sees it.
type pkg struct {
	Dir, ImportPath, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles                     []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// path is the import path without the module's.
func (p pkg) path() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

// source is one file of Go, parsed.
type source struct {
	name string // relative to the root
	pkg  string // relative import path of its folder
	test bool
	file *ast.File
	fset *token.FileSet
}

func (s source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// tree is everything that the tests of this package look at, read once.
type tree struct {
	packages []pkg
	sources  []source
	files    map[string][]byte // every text file, relative to the root
}

var load = sync.OnceValues(func() (*tree, error) {
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	t := &tree{files: map[string][]byte{}}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		t.packages = append(t.packages, p)
	}
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if slices.Contains([]string{".git", ".cache", "demo-data", "bench/out", "node_modules"}, filepath.ToSlash(rel)) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 { // not text
			return nil
		}
		rel = filepath.ToSlash(rel)
		t.files[rel] = b
		if strings.HasSuffix(rel, ".go") && !strings.Contains(rel, "testdata/") {
			f, err := parser.ParseFile(fset, rel, b, parser.ParseComments)
			if err != nil {
				return err
			}
			t.sources = append(t.sources, source{rel, filepath.ToSlash(filepath.Dir(rel)), strings.HasSuffix(rel, "_test.go"), f, fset})
		}
		return nil
	})
	return t, err
})

func theTree(t *testing.T) *tree {
	t.Helper()
	tree, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// declared says where each function and method of the tree is: "domain" has "Consolidate", "Report.Submit", "Submit".
func (t *tree) declared() map[string]map[string][]string {
	out := map[string]map[string][]string{}
	for _, s := range t.sources {
		if out[s.pkg] == nil {
			out[s.pkg] = map[string][]string{}
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			names := []string{f.Name.Name}
			if f.Recv != nil {
				names = append(names, receiver(f)+"."+f.Name.Name)
			}
			for _, n := range names {
				out[s.pkg][n] = append(out[s.pkg][n], s.name)
			}
		}
	}
	return out
}

// receiver is the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	e := f.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// under reports whether a package path is dir or below it.
func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
