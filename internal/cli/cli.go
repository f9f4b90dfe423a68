// Package cli is the command line of Flux, one file per command.
//
// Commands write data to stdout and everything else to stderr. With --json, data is one JSON document, or one line of
// JSON per item; fields are only ever added. Errors are told as "Error: …" and, where there is something to do about
// them, "Try: …". The exit code is 0 when the command did what it was asked, 1 when it failed and 64 when it was called in
// a wrong way. Commands whose answer is a verdict, as flux replay, have exit codes of their own for it, 2 to 6.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// The exit codes of the program. That of wrong usage is EX_USAGE of sysexits.h, so that it is no verdict of any command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 64
)

// Run runs the command that args ask for, without the program's name, and returns the exit code. The first SIGINT or
// SIGTERM, and the end of ctx, let the command finish what it has in hand; a second signal ends the process at once.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // signals after the first one do again what they do by default

	p := &program{in: stdin, out: newScreen(stdout), err: newScreen(stderr)}
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if ended, ok := errors.AsType[*verdict](err); ok {
		return ended.code
	}
	if !p.called { // cobra found the mistake before the command saw its arguments
		err = usagef(fmt.Sprintf("%s; see %s --help", command.UseLine(), command.CommandPath()), "%w", err)
	}
	p.fail(err)
	if errors.As(err, new(*usageError)) {
		return exitUsage
	}
	return exitFailed
}

// program is what all commands share.
type program struct {
	settings

	in       io.Reader
	out, err *screen
	json     bool
	called   bool
}

// newRoot returns the whole tree of commands.
func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "flux",
		Short: "Durable logs that services talk over",
		Long: "Flux lets services talk over durable logs: commands, queries, events and their results.\n\n" +
			"This one binary is the server, and everything one does with a server from a terminal.",
		Example:       "  flux dev          # a server in memory, to try things out\n  flux demo         # a whole system on 20,000 real flights",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true // in favour of ours
	root.PersistentFlags().BoolVar(&p.json, "json", false, "write data as JSON")
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "YAML or JSON `file` with settings")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.load(cmd.Flags()) }
	root.AddGroup(
		&cobra.Group{ID: "server", Title: "Run a server:"},
		&cobra.Group{ID: "messages", Title: "Work with messages:"},
		&cobra.Group{ID: "state", Title: "Work with state:"},
		&cobra.Group{ID: "executions", Title: "Find out what happened:"},
		&cobra.Group{ID: "store", Title: "Look after a store:"},
		&cobra.Group{ID: "program", Title: "Use this program:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add("server", serveCommand(p), devCommand(p), demoCommand(p))
	add("messages", publishCommand(p), requestCommand(p), tailCommand(p), readCommand(p), consumersCommand(p), topicsCommand(p))
	add("state", aggregatesCommand(p), kvCommand(p), schedulesCommand(p))
	add("executions", goCommand(p), logsCommand(p), whyCommand(p), traceCommand(p), replayCommand(p), resumeCommand(p), execCommand(p),
		incidentCommand(p), bugCommand(p), issuesCommand(p), exportCommand(p), importCommand(p), pinCommand(p), unpinCommand(p),
		executionsCommand(p), psCommand(p), redactCommand(p))
	add("store", checkCommand(p), backupCommand(p), restoreCommand(p))
	add("program", completionCommand(p, root), configCommand(p), versionCommand(p))
	root.SetHelpCommandGroupID("program")
	wrapHelp(root)
	return root
}

// helpWidth is where lines of help end.
const helpWidth = 100

// wrapHelp breaks the long lines of the help of a command and of all below it.
func wrapHelp(command *cobra.Command) {
	paragraphs := strings.Split(command.Long, "\n\n")
	for i, paragraph := range paragraphs {
		paragraphs[i] = wrap(paragraph, helpWidth)
	}
	command.Long = strings.Join(paragraphs, "\n\n")
	for _, sub := range command.Commands() {
		wrapHelp(sub)
	}
}

// wrap puts words on lines of at most width characters, unless a word has more.
func wrap(text string, width int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column > 0 && column+1+n > width:
			out.WriteByte('\n')
			column = 0
		case column > 0:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += n
	}
	return out.String()
}

// run makes a function of a command what cobra calls.
func (p *program) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.called = true
		return f(cmd.Context(), args)
	}
}

// subcommands is what a command runs that is only a name for other commands.
func subcommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}

// must is for mistakes in the table of commands.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
