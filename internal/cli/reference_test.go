package cli

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli")

const referenceDir = "../../docs/cli"

func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	pages := reference()
	if *update {
		writeReference(t, pages)
	}
	files, err := filepath.Glob(filepath.Join(referenceDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := pages[filepath.Base(file)]; !ok {
			t.Errorf("%s is about no command", file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		text, err := os.ReadFile(filepath.Join(referenceDir, name))
		if err != nil || string(text) != pages[name] {
			t.Errorf("docs/cli/%s is not up to date (%v): go test ./internal/cli -run Reference -update", name, err)
		}
	}
}

func writeReference(t *testing.T, pages map[string]string) {
	t.Helper()
	if err := os.RemoveAll(referenceDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(referenceDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(referenceDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHelpSaysWhatPeopleNeed(t *testing.T) {
	t.Parallel()
	for _, command := range ownCommands(newRoot(&program{})) {
		t.Run(command.CommandPath(), func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(command.Short, ".") || command.Short == "" {
				t.Errorf("short help is a phrase without full stop, got %q", command.Short)
			}
			if n := strings.Count(command.Example, "\n") + 1; n != 2 || command.Example == "" {
				t.Errorf("%d examples, want two, one on each line", n)
			}
			for _, example := range strings.Split(command.Example, "\n") {
				if !strings.Contains(example, command.CommandPath()) {
					t.Errorf("example %q does not show %s", example, command.CommandPath())
				}
			}
			if !strings.Contains(command.Long, "With --json") {
				t.Error("help has no note on --json")
			}
		})
	}
}

// ownCommands returns all commands below one that do something themselves.
func ownCommands(command *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range command.Commands() {
		if sub.Runnable() && sub.Example != "" || !sub.HasSubCommands() && !sub.Hidden {
			all = append(all, sub)
		}
		all = append(all, ownCommands(sub)...)
	}
	return all
}
