package woven

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

// TestTwoClonesOfOneCommitRecordOneVersion builds a program that uses package execution, as go build does, in different folders.
func TestTwoClonesOfOneCommitRecordOneVersion(t *testing.T) {
	t.Parallel()
	origin := t.TempDir()
	commit := commitJob(t, origin)
	first, second := cloneOf(t, origin), cloneOf(t, origin)
	a, b := codeOf(t, first), codeOf(t, second)
	if a != b || a.Commit != commit || a.Dirty || a.Module != "example.com/job" {
		t.Errorf("the clones of %s record %+v and %+v", commit, a, b)
	}

	source := filepath.Join(second, "main.go")
	if err := os.WriteFile(source, append(readFile(t, source), "\n// Changed.\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed := codeOf(t, second); changed == a || changed.Commit != commit || !changed.Dirty {
		t.Errorf("a changed clone of %s records %+v", commit, changed)
	}
}

// commitJob makes a repository with the program of testdata/job and returns its commit. The modules it needs are those of Flux.
func commitJob(t *testing.T, dir string) (commit string) {
	t.Helper()
	flux, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(readFile(t, filepath.Join(flux, "go.mod"))), "\n")
	mod := "module example.com/job\n" + requires + "\nrequire github.com/flux-go/flux v0.0.0\nreplace github.com/flux-go/flux => " + flux + "\n"
	for name, content := range map[string][]byte{
		"go.mod": []byte(mod), "go.sum": readFile(t, filepath.Join(flux, "go.sum")), "main.go": readFile(t, "testdata/job/main.go"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runIn(t, dir, "git", "init", "-q")
	runIn(t, dir, "git", "add", ".")
	runIn(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "job")
	return strings.TrimSpace(runIn(t, dir, "git", "rev-parse", "HEAD"))
}

func cloneOf(t *testing.T, origin string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "clone")
	runIn(t, ".", "git", "clone", "-q", origin, dir)
	return dir
}

// codeOf builds the program in a directory and returns what code it records.
func codeOf(t *testing.T, dir string) (code record.Code) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "job")
	runIn(t, dir, "go", "build", "-buildvcs=true", "-o", binary, ".")
	if err := json.Unmarshal([]byte(runIn(t, dir, binary)), &code); err != nil {
		t.Fatal(err)
	}
	return code
}

// runIn runs a command in a directory and returns what it writes.
func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
