package cli

import (
	"bytes"
	"context"
	"os"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

func exportCommand(p *program) *cobra.Command {
	var path, handler string
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write an execution to a file",
		Long: "Write an execution, and how its process started, to a file that flux trace, why, replay and import read on any machine, without " +
			"this server. Without --output it goes to the standard output, or on a terminal to ID.fluxrec.\n\n" +
			"With --as-test, a Go test that replays the file is written as well, to the current folder.\n\n" +
			"With --json, one document, for which --output is needed: {\"id\",\"file\",\"bytes\"}.",
		Example: "  flux export 7f3a -o failure.fluxrec\n  flux export 7f3a >failure.fluxrec",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.export(ctx, args[0], path, handler) }),
	}
	cmd.Flags().StringVar(&handler, "as-test", "", "write a test too, which replays it through this Go `expression`, as app.Handler()")
	cmd.Flags().StringVarP(&path, "output", "o", "", "`file` to write; - is the standard output")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) export(ctx context.Context, id, path, handler string) error {
	if p.json && (path == "" || path == "-") {
		return usagef("add -o FILE.fluxrec", "--json and the file would both go to the standard output")
	}
	if isRecordingFile(id) {
		return usagef("take an id from flux logs", "%s is a file already", id)
	}
	if handler != "" && (path == "" || path == "-") {
		return usagef("add -o testdata/NAME.fluxrec", "the test of --as-test needs a file")
	}
	bundle, err := p.recording(ctx, id)
	if err != nil {
		return err
	}
	var file bytes.Buffer
	if err := record.WriteBundle(&file, bundle); err != nil {
		return err
	}
	x := bundle.Execution
	if path == "" && p.out.terminal {
		path = x.ID.Short() + ".fluxrec"
	}
	if path == "" || path == "-" {
		_, err := p.out.Write(file.Bytes())
		return err
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil { // it may hold what customers sent
		return err
	}
	if handler != "" {
		if err := writeTest(bundle, path, handler); err != nil {
			return err
		}
	}
	if p.json {
		return p.out.printJSON(map[string]any{"id": x.ID.String(), "file": path, "bytes": file.Len()})
	}
	if err := p.out.printf("Wrote execution %s to %s, %s.\n", x.ID.Short(), path, size(file.Len())); err != nil {
		return err
	}
	return p.err.printf("%s flux trace %s\n", p.err.dim("next"), path)
}

func importCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE.fluxrec…",
		Short: "Record executions from files",
		Long: "Record the executions that flux export has written to files. Those that the server knows are left as they are.\n\n" +
			"With --json, one line for each execution: {\"id\",\"file\",\"outcome\"}; the outcome is stored, replaced or known.",
		Example: "  flux import failure.fluxrec\n  flux import *.fluxrec --json",
		Args:    cobra.MinimumNArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.importFiles(ctx, args) }),
	}
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) importFiles(ctx context.Context, paths []string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	for _, path := range paths {
		bundle, err := readRecording(path)
		if err != nil {
			return err
		}
		if err := p.importBundle(ctx, c, path, bundle); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) importBundle(ctx context.Context, c *client, path string, b *record.Bundle) error {
	all := [][]byte{record.Append(nil, b.Execution)}
	if b.Boot != nil {
		all = append(all, record.Append(nil, b.Boot))
	}
	answer, err := c.executions.RecordExecutions(ctx, connect.NewRequest(&fluxv1.RecordExecutionsRequest{Executions: all}))
	if err != nil {
		return err
	}
	for i, outcome := range answer.Msg.GetOutcomes() {
		switch {
		case outcome.GetOutcome() == "refused":
			return failf("", "%s: %s", path, outcome.GetReason())
		case p.json:
			err = p.out.printJSON(map[string]string{"id": outcome.GetId(), "file": path, "outcome": outcome.GetOutcome()})
		case i == 0:
			err = p.tellImported(outcome)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *program) tellImported(outcome *fluxv1.RecordOutcome) error {
	text := "Recorded execution %s.\n"
	if outcome.GetOutcome() == "known" {
		text = "Execution %s was there.\n"
	}
	if err := p.out.printf(text, shortID(outcome.GetId())); err != nil {
		return err
	}
	return p.err.printf("%s flux why %s\n", p.err.dim("next"), shortID(outcome.GetId()))
}
