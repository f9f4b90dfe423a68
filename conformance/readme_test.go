package conformance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flux-go/flux/conformance/process"
)

// TestReadmeDoesWhatItSays runs the commands of README.md in their order, and its program, against the server that it
// starts. Only the address of the server and the place of the binary differ from what it says.
func TestReadmeDoesWhatItSays(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shell, program, printed := fenced(string(raw), "sh"), fenced(string(raw), "go"), fenced(string(raw), "")
	if len(shell) != 3 || len(program) != 1 || len(printed) != 1 {
		t.Fatalf("README.md has %d shell blocks, %d programs and %d outputs", len(shell), len(program), len(printed))
	}
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	start, commands, _ := strings.Cut(shell[1], "\n")
	if !strings.HasPrefix(start, "bin/flux dev &") {
		t.Fatalf("the first command starts no server: %s", start)
	}
	server, err := process.Start(t.TempDir(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)

	script := strings.NewReplacer("bin/flux", binary, "http://127.0.0.1:8888", server.URL).Replace("set -eu\n" + commands + shell[2])
	out := run(t, server, "bash", "-c", script)
	for _, want := range []string{`Published 1 message to event`, `shop\.OrderPlaced .*"total":\s*42`, `"indexes":\["\d+"\]`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("output of the commands has no match for %s:\n%s", want, out)
		}
	}
	path := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(path, []byte(program[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, server, "go", "run", "-buildvcs=false", path); out != printed[0] {
		t.Errorf("the program printed\n%s\nbut should print\n%s", out, printed[0])
	}
}

// fenced returns the blocks of a language in Markdown.
func fenced(markdown, language string) (blocks []string) {
	for i, part := range strings.Split(markdown, "```") {
		if name, block, _ := strings.Cut(part, "\n"); i%2 == 1 && name == language {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

// run returns what a command printed, whose flux is to talk to the server.
func run(t *testing.T, server *process.Server, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), "FLUX_URL="+server.URL)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, &stdout, &stderr)
	}
	return stdout.String()
}
