package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

func TestModuleKeepsTheHouseRules(t *testing.T) {
	t.Parallel()
	for _, finding := range Check(loadRepository(t)) {
		t.Error(finding)
	}
}

// An archive in testdata is a small module that breaks one rule. Its file "want" lists what the rules say about it.
func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			root, err := archive(rule.name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := fs.ReadFile(root, "want")
			if err != nil {
				t.Fatal(err)
			}
			if got := findingsIn(t, root); got != string(want) {
				t.Errorf("found\n%swant\n%s", got, want)
			}
		})
	}
}

// archive returns the files of testdata/NAME.txtar. A path of some machine is written <machine> there, because that
// archive is a file of this module too.
func archive(name string) (fs.FS, error) {
	content, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		return nil, err
	}
	return txtar.FS(txtar.Parse([]byte(strings.ReplaceAll(string(content), "<machine>", "/"+"work"))))
}

func TestReviewedListsNameNothingThatIsGone(t *testing.T) {
	t.Parallel()
	module := loadRepository(t)
	for path := range dependencies {
		if moduleOf(path, module.Mod.Require) != path {
			t.Errorf("dependencies names %s, which is not in go.mod", path)
		}
	}
	long := module.longFunctions()
	for name := range longFunctions {
		if !slices.ContainsFunc(long, func(function longFunction) bool { return function.name == name }) {
			t.Errorf("longFunctions names %s, which is not a function of more than %d lines", name, maxFunctionLines)
		}
	}
}

func TestLoadRefusesGoThatDoesNotParse(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/m\n")},
		"m.go":   {Data: []byte("package\n")},
	}
	if _, err := Load(root, []string{"go.mod", "m.go"}); err == nil || !strings.Contains(err.Error(), "m.go:1") {
		t.Fatalf("got error %v, want one at m.go:1", err)
	}
}

func loadRepository(t *testing.T) *Module {
	t.Helper()
	root := filepath.Join("..", "..")
	names, err := TrackedFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	module, err := Load(os.DirFS(root), names)
	if err != nil {
		t.Fatal(err)
	}
	if module.file("internal/lint/lint_test.go") == nil {
		t.Fatalf("git names %d files, this one is not among them", len(names))
	}
	return module
}

// findingsIn returns what all rules find in the module at root, one finding a line.
func findingsIn(t *testing.T, root fs.FS) string {
	t.Helper()
	var names []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && name != "want" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	module, err := Load(root, names)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, finding := range Check(module) {
		lines.WriteString(finding.String() + "\n")
	}
	return lines.String()
}

// The numbers of the last rows of the page: 112 features, 206 statements.
func TestParityPageIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", parityPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []string{"\n| F-112 |", "\n| G-206 |"} {
		if !strings.Contains(string(page), last) {
			t.Errorf("%s has no row %q", parityPage, last)
		}
	}
}
