package cli

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// writeTest writes a test for a recording to the current folder.
func writeTest(bundle *record.Bundle, file, handler string) error {
	if _, err := parser.ParseExpr(handler); err != nil {
		return usagef("take an expression such as app.Handler()", "--as-test: %w", err)
	}
	path := "replay_" + bundle.Execution.ID.Short() + "_test.go"
	return os.WriteFile(path, []byte(testSource(bundle, packageHere(), filepath.ToSlash(file), handler)), 0o644)
}

// packageHere returns the name of the package in the current folder.
func packageHere() string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		return "main"
	}
	for _, file := range files {
		if parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly); err == nil {
			return parsed.Name.Name
		}
	}
	return "main"
}

// testSource returns a Go test that replays a recording, in a file beside that of the recording. handler is the expression that
// makes what it is replayed through.
func testSource(bundle *record.Bundle, pkg, file, handler string) string {
	of := bundle.Execution
	what := strings.TrimSpace(of.Trigger.Method + " " + of.Trigger.Path)
	end := "ended " + string(of.Status)
	if of.HTTPStatus != 0 {
		end += " " + strconv.Itoa(of.HTTPStatus)
	}
	return fmt.Sprintf(`package %s

import (
	"testing"

	"github.com/flux-go/flux/fluxtest"
)

// TestReplay%s replays %s of %s, which %s on %s.
func TestReplay%[2]s(t *testing.T) {
	fluxtest.Replay(t, %[7]q, %[8]s, nil)
}
`, pkg, of.ID.Short(), oneLine(what), oneLine(of.Service), end, of.Start.UTC().Format("2006-01-02"), file, handler)
}

// oneLine keeps a text within its comment.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
