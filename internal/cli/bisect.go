package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// bisectOptions are the flags of bug bisect.
type bisectOptions struct {
	good, bad, address string
	loose              bool
}

func bugCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bug",
		Short: "Find where a bug came from",
		Long:  "Find where a bug came from.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(bisectCommand(p))
	return cmd
}

func bisectCommand(p *program) *cobra.Command {
	var o bisectOptions
	cmd := &cobra.Command{
		Use:   "bisect ID|FILE.fluxrec --good REV [--bad REV] -- COMMAND [ARG…]",
		Short: "Find the commit since which a recorded execution fails",
		Long: "Replay a recorded failure at commits between one at which it did not happen and one at which it does, halving the way each time, and " +
			"tell the first at which it does. The command starts the program, as for flux replay, in a work tree of its own, which is removed " +
			"at the end; yours is left as it is. Nothing outside of the program is touched. " + recordingNote + "\n\n" +
			"The exit code is 0 when the commit is found, 3 when a commit asked for something that is not in the recording, so that nothing is " +
			"known of it, 1 when something else went wrong, 64 for wrong usage.\n\n" +
			"With --json, a line {\"commit\",\"bad\",\"outcome\"} for each replay, and a last one {\"first\",\"subject\",\"replays\"}.",
		Example: "  flux bug bisect 7c1e9a04 --good v1.4.0 -- go run ./cmd/api\n" +
			"  flux bug bisect failure.fluxrec --good v1.4.0 --bad main -- go run ./cmd/api",
		Args: replayArgs,
		RunE: p.run(func(ctx context.Context, args []string) error { return p.bisect(ctx, args[0], args[1:], o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.good, "good", "", "`revision` at which it did not fail")
	flags.StringVar(&o.bad, "bad", "HEAD", "`revision` at which it fails")
	flags.BoolVar(&o.loose, "loose", false, "answer reads from a like operation when none is the same")
	flags.StringVar(&o.address, "address", "", "`address` on which the program listens; defaults to the recorded port on 127.0.0.1")
	p.connection(flags)
	return cmd
}

// A bisection looks for the first bad commit.
type bisection struct {
	p       *program
	bundle  *record.Bundle
	command []string
	o       bisectOptions
	dir     string // of the work tree
	within  string // where the user is, below the top of the repository
	replays int
}

// bisectRow is what a replay at a commit came to.
type bisectRow struct {
	Commit  string            `json:"commit"`
	Bad     bool              `json:"bad"`
	Outcome execution.Outcome `json:"outcome"`
}

func (p *program) bisect(ctx context.Context, arg string, command []string, o bisectOptions) (err error) {
	if o.good == "" {
		return usagef("add --good REV", "nothing says at which revision it did not fail")
	}
	bundle, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	commits, err := commitsBetween(ctx, o.good, o.bad)
	if err != nil {
		return err
	}
	b := &bisection{p: p, bundle: bundle, command: command, o: o}
	if err := b.open(ctx, commits[len(commits)-1]); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	first, err := b.search(ctx, commits)
	if err != nil {
		return err
	}
	return b.tell(ctx, first)
}

// commitsBetween returns the commits after good up to bad, the oldest first.
func commitsBetween(ctx context.Context, good, bad string) ([]string, error) {
	out, err := git(ctx, "", "rev-list", "--reverse", "--ancestry-path", good+".."+bad)
	if err != nil {
		return nil, err
	}
	commits := strings.Fields(out)
	if len(commits) == 0 {
		return nil, usagef("use a revision and one that came after it", "there are no commits from %s to %s", good, bad)
	}
	return commits, nil
}

// git runs git and returns what it wrote.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// open makes the work tree.
func (b *bisection) open(ctx context.Context, commit string) (err error) {
	if b.within, err = git(ctx, "", "rev-parse", "--show-prefix"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flux-bisect-")
	if err != nil {
		return err
	}
	b.dir = filepath.Join(dir, "tree")
	_, err = git(ctx, "", "worktree", "add", "--detach", b.dir, commit)
	return err
}

func (b *bisection) close(ctx context.Context) error {
	_, err := git(ctx, "", "worktree", "remove", "--force", b.dir)
	return errors.Join(err, os.RemoveAll(filepath.Dir(b.dir)))
}

// search returns the first bad of commits, of which the last is bad. That one is looked at first: when it does not fail, there is
// nothing to look for.
func (b *bisection) search(ctx context.Context, commits []string) (string, error) {
	last := len(commits) - 1
	if bad, err := b.isBad(ctx, commits[last]); err != nil || !bad {
		if err == nil {
			err = failf("look with flux replay what it does there", "it does not fail at %s", b.o.bad)
		}
		return "", err
	}
	low, high := 0, last // commits before low are good, that at high is bad
	for low < high {
		middle := low + (high-low)/2
		bad, err := b.isBad(ctx, commits[middle])
		if err != nil {
			return "", err
		}
		if bad {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return commits[high], nil
}

// isBad replays at a commit.
func (b *bisection) isBad(ctx context.Context, commit string) (bool, error) {
	if _, err := git(ctx, b.dir, "checkout", "--quiet", "--detach", commit); err != nil {
		return false, err
	}
	b.replays++
	inTree := append([]string{"sh", "-c", `cd "$0" && exec "$@"`, filepath.Join(b.dir, b.within)}, b.command...)
	run := &rerun{p: b.p, bundle: b.bundle, command: inTree, address: b.o.address}
	result, err := run.run(ctx, execution.Control{Replay: &execution.ReplayOptions{Loose: b.o.loose}}, false)
	if err != nil {
		return false, err
	}
	report := result.report
	row := bisectRow{commit, report.Replayed.Status.Failed(), report.Outcome}
	if err := b.show(ctx, row); err != nil {
		return false, err
	}
	if report.Outcome == execution.OutcomeStopped {
		return false, &verdict{3}
	}
	return row.Bad, nil
}

func (b *bisection) show(ctx context.Context, row bisectRow) error {
	if b.p.json {
		return b.p.out.printJSON(row)
	}
	word := b.p.out.green("good")
	switch {
	case row.Outcome == execution.OutcomeStopped:
		word = b.p.out.yellow("unknown: it asks for something that is not in the recording")
	case row.Bad:
		word = b.p.out.red("bad")
	}
	line, err := git(ctx, b.dir, "log", "-1", "--format=%h %s", row.Commit)
	if err != nil {
		return err
	}
	return b.p.out.printf("%s  %s\n", line, word)
}

func (b *bisection) tell(ctx context.Context, first string) error {
	subject, err := git(ctx, b.dir, "log", "-1", "--format=%s", first)
	if err != nil {
		return err
	}
	if b.p.json {
		return b.p.out.printJSON(struct {
			First   string `json:"first"`
			Subject string `json:"subject"`
			Replays int    `json:"replays"`
		}{first, subject, b.replays})
	}
	s := b.p.out
	return s.printf("\n%s %s\n%s\n%s git show %s\n", s.bold("first bad commit"), first, subject, s.dim("next"), first[:12])
}
