package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/internal/blindspot"
)

// checkCodeOptions are the flags of check code.
type checkCodeOptions struct{ woven, fail bool }

func checkCodeCommand(p *program) *cobra.Command {
	var o checkCodeOptions
	cmd := &cobra.Command{
		Use:   "code [PACKAGE…]",
		Short: "List what a recorder does not see in a Go program",
		Long: "List the places in Go packages where a program goes around the recording of executions: clocks, random numbers, files, " +
			"processes, connections and goroutines. Without packages, those of ./... are read. Programs built by flux go need only " +
			"look at what --woven leaves.\n\n" +
			"With --json, one line for each place: {\"file\",\"line\",\"kind\",\"what\",\"instead\",\"woven\"}.",
		Example: "  flux check code ./...\n  flux check code --woven --fail ./cmd/api",
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.checkCode(ctx, args, o) }),
	}
	cmd.Flags().BoolVar(&o.woven, "woven", false, "leave out what flux go build covers")
	cmd.Flags().BoolVar(&o.fail, "fail", false, "end with exit code 1 when there is any")
	return cmd
}

func (p *program) checkCode(ctx context.Context, patterns []string, o checkCodeOptions) error {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	files, err := goFiles(ctx, patterns)
	if err != nil {
		return err
	}
	found := 0
	for _, file := range files {
		spots, err := blindSpots(file)
		if err != nil {
			return err
		}
		for _, s := range spots {
			if o.woven && s.Woven {
				continue
			}
			found++
			if err := p.printSpot(s); err != nil {
				return err
			}
		}
	}
	if !p.json {
		if err := p.err.printf("%s in %s.\n", plural(found, "blind spot"), plural(len(files), "file")); err != nil {
			return err
		}
	}
	if o.fail && found > 0 {
		return &verdict{exitFailed}
	}
	return nil
}

func (p *program) printSpot(s blindspot.Spot) error {
	if p.json {
		return p.out.printJSON(s)
	}
	return p.out.printf("%s:%d  %s  %s  %s\n", s.File, s.Line, p.out.yellow(s.Kind), p.out.bold(s.What), p.out.dim("instead: "+s.Instead))
}

// goFiles returns the Go files of packages, without tests, as the go command finds them.
func goFiles(ctx context.Context, patterns []string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json=Dir,GoFiles,CgoFiles"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, failf("run it where go build works", "go list %s: %w: %s", strings.Join(patterns, " "), err, strings.TrimSpace(stderr.String()))
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var files []string
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Dir               string
			GoFiles, CgoFiles []string
		}
		if err := packages.Decode(&pkg); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
			path := filepath.Join(pkg.Dir, name)
			if rel, err := filepath.Rel(here, path); err == nil {
				path = rel
			}
			files = append(files, path)
		}
	}
}

func blindSpots(path string) ([]blindspot.Spot, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		return nil, err
	}
	return blindspot.Find(files, file), nil
}
