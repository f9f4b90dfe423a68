package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flux-go/flux/conformance/process"
)

var (
	lookAtMessages = regexp.MustCompile("(?s)\n## Look at messages\n(.*?)\n## ")
	shellBlock     = regexp.MustCompile("(?s)```sh\n(.*?)```")
)

// The commands of the README do what it says, on a server that the test starts for them: on a free port, and ready.
func TestReadmeDoesWhatItSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	section := lookAtMessages.FindSubmatch(page)
	if section == nil {
		t.Fatal("no section on messages")
	}
	var script strings.Builder
	for _, block := range shellBlock.FindAllSubmatch(section[1], -1) {
		script.Write(block[1])
	}
	commands, found := cutLine(script.String(), "bin/flux dev &")
	if !found {
		t.Fatal("no server is started")
	}

	dir := t.TempDir()
	server, err := process.Start(dir, "dev")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "bin"), os.DirFS(filepath.Dir(binary))); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("bash", "-euo", "pipefail", "-c", strings.ReplaceAll(commands, "http://127.0.0.1:8888", server.URL))
	command.Dir = dir
	command.Env = append(os.Environ(), "FLUX_URL="+server.URL)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{
		`Published 1 message to event, index \d+\.`,
		`\d+  20\S+Z  shop\.OrderPlaced  \{"order": ?"o-1", ?"total": ?42\}`,
		`event +1 `,
		`\{"indexes":\["\d+"\]\}`,
	} {
		if !regexp.MustCompile(want).Match(output) {
			t.Errorf("no %s in\n%s", want, output)
		}
	}
}

// cutLine removes the line that begins with a prefix.
func cutLine(text, prefix string) (rest string, found bool) {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			found = true
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ""), found
}
