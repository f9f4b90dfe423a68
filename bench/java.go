package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var javaRows = []row{
	{"P7b", "official Java SDK on Flux and on its own test server", "≥ 1 ×", benchJava},
}

// javaFigure is a line that conformance/java writes for a measurement of one server, flux or reference.
type javaFigure struct {
	Server    string  `json:"server"`
	What      string  `json:"what"`
	PerSecond float64 `json:"perSecond"`
}

const (
	javaEvents = 100_000
	javaRounds = 5
)

// benchJava has the harness of conformance/java measure. Without a JDK or Maven that says that it skips, and there is no
// result.
func benchJava(ctx context.Context, e *env) ([]result, error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/flux-go/flux").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	script := filepath.Join(strings.TrimSpace(string(root)), "scripts", "conformance-java")
	harness := exec.CommandContext(ctx, script, "--bench", strconv.Itoa(e.count(javaEvents)), strconv.Itoa(javaRounds))
	harness.Env = append(os.Environ(), "TMPDIR="+dir)
	harness.Stderr = e.log
	out, err := harness.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", script, err)
	}
	figures := map[string][]float64{}
	for line := range bytes.Lines(out) {
		var f javaFigure
		if json.Unmarshal(line, &f) != nil {
			fmt.Fprintf(e.log, "%s", line)
			continue
		}
		figures[f.Server+" "+f.What] = append(figures[f.Server+" "+f.What], f.PerSecond)
	}
	var results []result
	for _, what := range []string{"publish", "track"} {
		if len(figures["flux "+what]) == 0 || len(figures["reference "+what]) == 0 {
			continue // skipped
		}
		r := result{
			What: "Java SDK: " + what + " events", Value: median(figures["flux "+what]), Unit: "events/s",
			Settings: "guarantee STORED, one event a request, 1,024 on their way; medians of rounds in turns",
		}
		results = append(results, r.against("its test server, in memory", median(figures["reference "+what])))
	}
	return results, nil
}

// median returns the middle of figures, of which there is one at least.
func median(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}
