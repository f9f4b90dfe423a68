package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flux-go/flux/conformance/process"
)

func TestMain(m *testing.M) { process.Main(m) }

// TestScripts uses the binary as a person does. Scripts are in testdata/script, one for each command and for each bug that
// was fixed. Besides the usual commands they have
//
//	server start ARGS…   runs "flux ARGS…", serve or dev, and sets FLUX_URL and ADDRESS; one at a time
//	server stop          ends it as a supervisor does; it must end well
//	server kill          ends it as a crash does
//	await FILE REGEXP    waits until a file has a match
//	copy-tree FROM TO    copies a directory
//	recordings           writes executions as files, see recordings_test.go
//	same-tree A B        fails unless two directories have the same files with the same bytes
func TestScripts(t *testing.T) {
	t.Parallel()
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Values[serverKey{}] = new(*process.Server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":    serverScript,
			"await":     await,
			"copy-tree": copyTree,
			"same-tree": sameTree,

			"recordings": recordingsScript,
		},
	})
}

// serverKey finds the server of a script.
type serverKey struct{}

func serverScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server start|stop|kill")
	}
	server := ts.Value(serverKey{}).(**process.Server)
	switch args[0] {
	case "start":
		started, err := process.Start(ts.MkAbs("."), args[1:]...)
		ts.Check(err)
		*server = started
		ts.Defer(started.Kill)
		ts.Setenv("FLUX_URL", started.URL)
		ts.Setenv("ADDRESS", strings.TrimPrefix(started.URL, "http://"))
	case "stop":
		if log, err := (*server).Stop(); err != nil {
			ts.Fatalf("server ended with %v\n%s", err, log)
		}
	case "kill":
		(*server).Kill()
	default:
		ts.Fatalf("server %s?", args[0])
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	wanted := regexp.MustCompile("(?m)" + args[1])
	late := time.After(time.Minute)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && wanted.Match(text) {
			return
		}
		select {
		case <-again.C:
		case <-late:
			ts.Fatalf("%s has no match for %q after a minute: %s%v", args[0], args[1], text, err)
		}
	}
}

func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copy-tree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

func sameTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same-tree A B")
	}
	a, b := contents(ts, args[0]), contents(ts, args[1])
	for path, text := range a {
		if other, ok := b[path]; !ok || other != text {
			ts.Fatalf("%s differs", path)
		}
	}
	if len(a) != len(b) || len(a) == 0 {
		ts.Fatalf("%d files in %s, %d in %s", len(a), args[0], len(b), args[1])
	}
}

// contents returns the contents of all files below a directory.
func contents(ts *testscript.TestScript, dir string) map[string]string {
	all := map[string]string{}
	root := ts.MkAbs(dir)
	ts.Check(filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path[len(root):]] = string(text)
		return err
	}))
	return all
}
