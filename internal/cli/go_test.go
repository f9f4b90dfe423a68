package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestArgumentsOfGoRunAreTakenApart(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][3]string{
		"./cmd/api":                              {"", "./cmd/api", ""},
		"./cmd/api -v x":                         {"", "./cmd/api", "-v x"},
		"-race -tags a,b ./cmd/api -tags c":      {"-race -tags a,b", "./cmd/api", "-tags c"},
		"-tags=a --ldflags -s main.go x.go -p 1": {"-tags=a --ldflags -s", "main.go x.go", "-p 1"},
		"example.com/tool@v1.2.3 help":           {"", "example.com/tool@v1.2.3", "help"},
		"-v":                                     {"-v", "", ""},
		"-tags":                                  {"-tags", "", ""},
		"-exec time -gcflags=all=-N . main.go -x": {"-exec time -gcflags=all=-N", ".", "main.go -x"},
	} {
		flags, program, rest := splitRun(strings.Fields(line))
		got := [3]string{strings.Join(flags, " "), strings.Join(program, " "), strings.Join(rest, " ")}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestFlagIsTakenInEveryForm(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][2]string{
		"-race":                   {"-race", ""},
		"-race -exec time -v":     {"-race -v", "time"},
		"--exec=time -race":       {"-race", "time"},
		"-exec time -exec=strace": {"", "strace"},
		"-v -exec":                {"-v", ""},
		"-executable":             {"-executable", ""},
	} {
		rest, value := takeFlag(strings.Fields(line), "exec")
		if got := [2]string{strings.Join(rest, " "), value}; got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestProgramsHaveTheNameThatGoGivesThem(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"./cmd/api": "api", ".": "shop", "..": "src", "main.go": "main", "cmd/api/main.go": "main", "example.com/x/tool@latest": "tool",
	} {
		if got := programName(program, "/src/shop"); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

func TestEveryReplacedCallHasAFunctionInPackageAuto(t *testing.T) {
	t.Parallel()
	declared := functionsOf(t, "../../execution/auto")
	for from, calls := range replacedCalls {
		for name, to := range calls {
			if !declared[to] {
				t.Errorf("%s.%s goes to auto.%s, which is not there", from, name, to)
			}
		}
	}
}

// functionsOf returns the names of the functions that the package in a directory declares.
func functionsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil {
				names[function.Name.Name] = true
			}
		}
	}
	return names
}

// aspect is one of orchestrion's, as far as the test looks.
type aspect struct {
	ID    string
	Point struct {
		All []map[string]any `yaml:"all-of"`
	} `yaml:"join-point"`
	Advice []map[string]string
}

func TestAspectsOfCallsAreForThePackagesOfTheModules(t *testing.T) {
	t.Parallel()
	var config struct{ Aspects []aspect }
	text := callAspects([]module{{Path: "example.com/shop"}})
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	now := config.Aspects[slices.IndexFunc(config.Aspects, func(a aspect) bool { return a.ID == "time.Now" })]
	if got, want := now.Advice[0]["replace-function"], "github.com/flux-go/flux/execution/auto.Now"; got != want {
		t.Errorf("advice: %s, want %s", got, want)
	}
	in := []any{map[string]any{"package-filter": "example.com/shop"}, map[string]any{"package-filter": "example.com/shop/**"}}
	if got := now.Point.All[0]["one-of"]; !reflect.DeepEqual(got, in) {
		t.Errorf("packages: %v, want %v", got, in)
	}
	if got, want := now.Point.All[2]["function-call"], "time.Now"; got != want {
		t.Errorf("call: %v, want %s", got, want)
	}
}

// TestDriverAnswersOnlyTheQuestionForAspects asks the script what orchestrion asks, and what others do.
func TestDriverAnswersOnlyTheQuestionForAspects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &surroundings{GOMOD: "/src/it's/go.mod", modules: []module{{Path: "example.com/shop"}}, source: "/src/flux"}
	for name, content := range s.files(dir) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ pattern, question, want string }{
		{".", `{"mode":3,"env":[]}`, filepath.Join(dir, "orchestrion.tool.go")},
		{"/src/it's", `{"mode":3,"env":[]}`, filepath.Join(dir, "orchestrion.tool.go")},
		{".", `{"mode":31,"env":[]}`, `{"NotHandled":true}`},
		{"./cmd/api", `{"mode":3,"env":[]}`, `{"NotHandled":true}`},
	} {
		command := exec.Command(filepath.Join(dir, "driver"), c.pattern)
		command.Stdin = strings.NewReader(c.question)
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s %s: %v\n%s", c.pattern, c.question, err, out)
		}
	}
}
