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
	text := callAspects([]module{{Path: "example.com/shop"}}, nil)
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

func TestOnlyLibrariesOfTheProgramAreWoven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		modules           map[string]string
		libraries, notice string
	}{
		{map[string]string{}, "", ""},
		{map[string]string{"google.golang.org/grpc": "v1.85.0", "example.com/x": "v1.0.0"}, "autogrpc", ""},
		{map[string]string{"github.com/redis/go-redis/v9": "v9.19.0", "github.com/jackc/pgx/v5": "v5.9.0"}, "autopgx autoredis", ""},
		{
			map[string]string{"github.com/jackc/pgx/v5": "v5.8.0", "google.golang.org/grpc": "v1.63.0"},
			"autogrpc",
			"github.com/jackc/pgx/v5 v5.8.0 is not recorded: that needs v5.9.0 or later.\n",
		},
	} {
		libraries, notes := woven(c.modules)
		text := toolFile(libraries) + callAspects(nil, libraries)
		for _, name := range []string{"autogrpc", "autopgx", "autoredis"} {
			if got, want := strings.Contains(text, "auto/"+name), strings.Contains(c.libraries, name); got != want {
				t.Errorf("%v: %s is woven: %v, want %v", c.modules, name, got, want)
			}
		}
		if notes != c.notice {
			t.Errorf("%v: %q, want %q", c.modules, notes, c.notice)
		}
	}
}

// TestModulesOutsideEveryGoModDoNotCount has a module that was split, which only a dependency of Flux still asks for as a whole.
func TestModulesOutsideEveryGoModDoNotCount(t *testing.T) {
	t.Parallel()
	shop, flux := t.TempDir(), t.TempDir()
	for dir, requires := range map[string]string{shop: "example.com/whole/part v1.0.0", flux: "example.com/used v1.0.0"} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n\nrequire "+requires+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &surroundings{modules: []module{{Dir: shop, GoVersion: "1.26"}}, source: flux}
	required, err := s.required()
	if want := map[string]bool{"example.com/whole/part": true}; err != nil || !reflect.DeepEqual(required, want) {
		t.Errorf("required: %v, %v", required, err)
	}
	with := map[string]string{
		"example.com/whole": "v0.1.0", "example.com/whole/part": "v1.0.0", "example.com/used": "v1.0.0", "example.com/used/part": "v1.0.0",
		"example.com/other": "v1.0.0",
	}
	hollow, err := s.hollow(map[string]string{"example.com/whole/part": "v1.0.0"}, with)
	if want := []string{"example.com/whole"}; err != nil || !reflect.DeepEqual(hollow, want) {
		t.Errorf("hollow: %v, %v, want %v", hollow, err, want)
	}
	s.modules[0].GoVersion = "1.16"
	if required, err := s.required(); required != nil || err != nil {
		t.Errorf("required before Go 1.17: %v, %v", required, err)
	}
}

// TestCallsThatNeedALibraryAreInItsAspects checks that no aspect names a package that is not there.
func TestCallsThatNeedALibraryAreInItsAspects(t *testing.T) {
	t.Parallel()
	for path, l := range libraryPackages {
		dir := filepath.Join("../..", strings.TrimPrefix(l.by, fluxModule))
		aspects, err := os.ReadFile(filepath.Join(dir, "orchestrion.yml"))
		if err != nil || !strings.Contains(string(aspects), "links: ["+l.by+"]") {
			t.Errorf("%s has no aspects that link it: %v", l.by, err)
		}
		calls := importingCalls[l.by]
		if len(calls) == 0 {
			t.Errorf("%s: no call imports it", l.by)
		}
		for _, call := range calls {
			if !strings.HasPrefix(call, path+".") && !strings.HasPrefix(call, path+"/") {
				t.Errorf("%s is not of %s", call, path)
			}
		}
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
