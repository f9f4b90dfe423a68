package cli

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flux-go/flux/conformance/process"
	"github.com/flux-go/flux/execution/record"
)

// TestReplayScripts runs the scripts of testdata/replay, which have the programs of testdata/shop and testdata/stock beside flux.
func TestReplayScripts(t *testing.T) {
	t.Parallel()
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir+string(os.PathSeparator), "./testdata/shop", "./testdata/stock")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/replay",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Values[serverKey{}] = new(*process.Server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"server": serverScript, "await": await},
	})
}

// TestTestSourceIsGo is F-75: what is exported as a test is a Go file, whatever the recording is called.
func TestTestSourceIsGo(t *testing.T) {
	t.Parallel()
	x := &record.Execution{ID: record.NewID(), Service: "shop\n*/", Trigger: record.Trigger{Method: "POST", Path: "/a\nb"}, Status: record.StatusError, HTTPStatus: 500}
	source := testSource(&record.Bundle{Execution: x}, "shop_test", `testdata/"x".fluxrec`, "app.Handler()")
	if _, err := parser.ParseFile(token.NewFileSet(), "x_test.go", source, parser.AllErrors); err != nil {
		t.Errorf("%v\n%s", err, source)
	}
	if !bytes.Contains([]byte(source), []byte("func TestReplay"+x.ID.Short()+"(t *testing.T)")) {
		t.Error(source)
	}
}
