package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// errStale is returned when a check finds a generated file that differs from what the schema says.
var errStale = errors.New("generated files are not up to date, run `make generate`")

// A change is what has to happen to one file on disk so that it says what the schema says.
type change struct {
	Verb    string // "create", "update" or "delete"
	Path    string
	Content string // empty when the file is to be deleted
}

func (c change) String() string { return c.Verb + " " + c.Path }

// compare returns the changes that turn the generated files under root into the ones given, sorted by path. A generated
// file that no schema accounts for any more is to be deleted.
func compare(root string, generated map[string]string) ([]change, error) {
	var changes []change
	for name, content := range generated {
		path := filepath.Join(root, filepath.FromSlash(name))
		switch old, err := os.ReadFile(path); {
		case errors.Is(err, fs.ErrNotExist):
			changes = append(changes, change{"create", path, content})
		case err != nil:
			return nil, err
		case string(old) != content:
			changes = append(changes, change{"update", path, content})
		}
	}
	present, err := filesUnder(root, isGenerated)
	if err != nil {
		return nil, err
	}
	for _, name := range present {
		if _, wanted := generated[name]; !wanted {
			changes = append(changes, change{"delete", filepath.Join(root, filepath.FromSlash(name)), ""})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.Path, b.Path) })
	return changes, nil
}

func isGenerated(name string) bool {
	return strings.HasSuffix(name, ".pb.go") || strings.HasSuffix(name, ".connect.go")
}

func write(changes []change) error {
	for _, change := range changes {
		if err := change.apply(); err != nil {
			return err
		}
	}
	return nil
}

func (c change) apply() error {
	if c.Verb == "delete" {
		return os.Remove(c.Path)
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(c.Path, []byte(c.Content), 0o644)
}
