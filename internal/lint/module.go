package lint

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// A Module is the source of one Go module: all its files, and what its go.mod says.
type Module struct {
	Path  string // module path
	Mod   *modfile.File
	Files []*File // sorted by path
	Fset  *token.FileSet
}

// A File is one file of a module.
type File struct {
	Path    string // slash-separated, relative to the root of the module
	Content []byte
	Syntax  *ast.File // nil unless the file is Go source of the module, which testdata is not
}

// Load reads the named files of a module, go.mod among them. Names whose file does not exist are left out: git lists a
// deleted file until the deletion is staged.
func Load(root fs.FS, names []string) (*Module, error) {
	content, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		return nil, err
	}
	module := &Module{Path: mod.Module.Mod.Path, Mod: mod, Fset: token.NewFileSet()}
	slices.Sort(names)
	for _, name := range names {
		file, err := loadFile(root, name, module.Fset)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		module.Files = append(module.Files, file)
	}
	return module, nil
}

func loadFile(root fs.FS, name string, fset *token.FileSet) (*File, error) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	file := &File{Path: name, Content: content}
	if path.Ext(name) == ".go" && !slices.Contains(strings.Split(name, "/"), "testdata") {
		file.Syntax, err = parser.ParseFile(fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	}
	return file, err
}

// TrackedFiles returns the files below root that git keeps or would keep: committed, staged, or new and not ignored.
func TrackedFiles(root string) ([]string, error) {
	// The owner of a clone may be another user than the one who runs the tests; listing its files is safe all the same.
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	output, err := list.Output()
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")
	slices.Sort(names)
	return slices.Compact(names), nil
}

// file returns the file at path, nil when there is none.
func (m *Module) file(path string) *File {
	for _, file := range m.Files {
		if file.Path == path {
			return file
		}
	}
	return nil
}

// sources returns the Go files that people wrote.
func (m *Module) sources() []*File {
	var files []*File
	for _, file := range m.Files {
		if file.Syntax != nil && !ast.IsGenerated(file.Syntax) {
			files = append(files, file)
		}
	}
	return files
}

func (m *Module) line(pos token.Pos) int { return m.Fset.Position(pos).Line }

// folder returns the folder of the file, which is also the path of its package below that of the module.
func (f *File) folder() string { return path.Dir(f.Path) }

func (f *File) isTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

func (f *File) isGo() bool { return f.Syntax != nil }

// imports returns the import paths of a Go file.
func (f *File) imports() []string {
	var paths []string
	for _, spec := range f.Syntax.Imports {
		// The parser has already refused a path that does not unquote.
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}
