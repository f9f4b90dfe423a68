package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/server"
)

func checkCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Verify a store, without writing to it",
		Long: "Verify the store in a directory, which no server may have open: that everything in it can be read, and that its parts fit " +
			"together. It writes nothing. The exit code is 1 when something is wrong.\n\n" +
			checkNote,
		Example: "  flux check ./flux-data\n  flux check /var/lib/flux --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.check(ctx, args[0]) }),
	}
	cmd.AddCommand(checkCodeCommand(p))
	return cmd
}

const checkNote = `With --json, one document: {"dir","sound","logs","messages","keys","bytes","found","problems"}, where "found" is the ` +
	`number of problems and "problems" has the first thousand.`

// checked is what a check found, as --json writes it.
type checked struct {
	Dir      string   `json:"dir"`
	Sound    bool     `json:"sound"`
	Logs     uint64   `json:"logs"`
	Messages uint64   `json:"messages"`
	Keys     uint64   `json:"keys"`
	Bytes    uint64   `json:"bytes"`
	Found    int      `json:"found"`
	Problems []string `json:"problems,omitempty"`
}

// check verifies a store and writes what it found. What is wrong with it is an error.
func (p *program) check(ctx context.Context, dir string) error {
	bar := newProgress(p.err, "Checking", 0, size[int64])
	report, err := server.Check(ctx, dir, func(r server.Report) { bar.set(int64(r.Bytes)) })
	bar.end()
	if err != nil {
		return err
	}
	result := checked{
		dir, report.Found == 0, report.Logs, report.Messages, report.Keys, report.Bytes, report.Found, report.Problems,
	}
	if err := p.printCheck(result); err != nil {
		return err
	}
	if !result.Sound {
		return failf("restore a backup with flux restore", "%s: %s found", dir, plural(result.Found, "problem"))
	}
	return nil
}

func (p *program) printCheck(c checked) error {
	if p.json {
		return p.out.printJSON(c)
	}
	for _, problem := range c.Problems {
		if err := p.out.printf("%s\n", problem); err != nil {
			return err
		}
	}
	figures := fmt.Sprintf("%s in %s, %s read", plural(c.Messages, "message"), plural(c.Logs, "log"), size(c.Bytes))
	if c.Sound {
		figures = p.out.green("Sound") + ": " + figures
	}
	return p.out.printf("%s.\n", figures)
}
