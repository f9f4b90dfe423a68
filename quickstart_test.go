package flux_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var programAndOutput = regexp.MustCompile("(?s)```go\n(package main\n.*?)```\n\n```\n(.*?)```\n")

// The programs of docs/quickstart.md print what it says, also when they are stopped and started again as it says.
func TestQuickstartDoesWhatItSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	found := programAndOutput.FindAllStringSubmatch(string(page), -1)
	if len(found) != 2 {
		t.Fatalf("found %d programs with outputs, want 2", len(found))
	}
	url := startServer(t, "").URL()
	shop, invoices := build(t, found[0][1]), build(t, found[1][1])
	for range 2 {
		if got := output(t, url, shop); got != found[0][2] {
			t.Errorf("shop prints\n%swant\n%s", got, found[0][2])
		}
		want := strings.Split(strings.TrimSpace(found[1][2]), "\n")
		if got := outputLines(t, url, invoices, len(want)); !slices.Equal(got, want) {
			t.Errorf("invoices prints %q, want %q", got, want)
		}
	}
}

// build returns the path of the built program.
func build(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func output(t *testing.T, url, binary string) string {
	t.Helper()
	cmd := exec.CommandContext(within(t), binary)
	cmd.Env, cmd.Stderr = append(os.Environ(), "FLUX_URL="+url), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// outputLines runs a program until it has printed n lines, then interrupts it. It returns all that it printed.
func outputLines(t *testing.T, url, binary string, n int) []string {
	t.Helper()
	cmd := exec.CommandContext(within(t), binary)
	cmd.Env, cmd.Stderr = append(os.Environ(), "FLUX_URL="+url), os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(pipe)
	var lines []string
	for range n {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after interrupt: %v", err)
	}
	return append(lines, strings.Fields(string(rest))...)
}

// The promise of [flux.HandleCommand] is that of the compiler.
func TestAHandlerWithTheWrongResultDoesNotCompile(t *testing.T) {
	t.Parallel()
	for _, handler := range []string{
		"flux.HandleCommand(app, func(context.Context, place) (string, error) { return \"\", nil })", // place returns an int
		"flux.HandleQuery(app, func(context.Context, place) (int, error) { return 0, nil })",         // place is a command
	} {
		source := filepath.Join(t.TempDir(), "main.go")
		program := "package main\n\nimport (\n\t\"context\"\n\n\t\"github.com/flux-go/flux\"\n)\n\n" +
			"type place struct{ flux.Command[int] }\n\nfunc main() {\n\tvar app *flux.App\n\t" + handler + "\n}\n"
		if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "go", "vet", source).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "does not") {
			t.Errorf("%s: %v\n%s", handler, err, out)
		}
	}
}
