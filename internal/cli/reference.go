package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// reference returns the pages of docs/cli, by file name: one for each command with all its subcommands, and an index.
func reference() map[string]string {
	root := newRoot(&program{})
	pages := map[string]string{"README.md": index(root)}
	for _, command := range root.Commands() {
		if command.IsAvailableCommand() {
			pages[command.Name()+".md"] = page(command)
		}
	}
	return pages
}

const generatedNote = "<!-- Generated from the commands. Change those, then: go test ./internal/cli -run Reference -update -->\n\n"

func index(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(generatedNote + "# Command line\n\n" + root.Long + "\n")
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| command | what it does |\n|---|---|\n", strings.TrimSuffix(group.Title, ":"))
		for _, command := range root.Commands() {
			if command.GroupID == group.ID && command.IsAvailableCommand() {
				fmt.Fprintf(&b, "| [flux %s](%s.md) | %s |\n", command.Name(), command.Name(), command.Short)
			}
		}
	}
	b.WriteString("\n## All commands\n\n" + settingsNote)
	writeFlags(&b, root.PersistentFlags())
	return b.String()
}

const settingsNote = `Data goes to the standard output, everything else to the standard error. The exit code is 0 when the command did
what it was asked, 1 when it failed, and 64 when it was called in a wrong way. Colour appears only on a terminal, and not
when ` + "`NO_COLOR`" + ` is set.

Flags that are settings may also come from the environment or from a file in YAML or JSON: what ` + "`--listen`" + ` says, the
variable ` + "`FLUX_LISTEN`" + ` and the key ` + "`listen`" + ` may say, too. A flag wins over the environment, which wins over the file.
` + "[`flux config check`](config.md)" + ` shows what is in effect.
`

func page(command *cobra.Command) string {
	var b strings.Builder
	b.WriteString(generatedNote)
	writeCommand(&b, command, "#")
	for _, sub := range command.Commands() {
		if sub.IsAvailableCommand() {
			b.WriteString("\n")
			writeCommand(&b, sub, "##")
		}
	}
	return b.String()
}

func writeCommand(b *strings.Builder, command *cobra.Command, heading string) {
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	fmt.Fprintf(b, "%s %s\n\n%s\n", heading, command.CommandPath(), strings.TrimSpace(text))
	if command.Runnable() && !command.HasAvailableSubCommands() || command.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", command.UseLine())
	}
	if command.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", unindent(command.Example))
	}
	writeFlags(b, command.LocalFlags())
}

func unindent(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "  "), "\n  ", "\n")
}

func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	rows := ""
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(flag)
		name := "`--" + flag.Name + "`"
		if kind != "" {
			name = "`--" + flag.Name + " " + kind + "`"
		}
		if isSetting(flag) {
			usage += ", or `" + environmentName(flag.Name) + "`"
		}
		rows += fmt.Sprintf("| %s | %s | %s |\n", name, strings.ReplaceAll(usage, "|", `\|`), defaultText(flag))
	})
	if rows != "" {
		b.WriteString("\n| flag | meaning | default |\n|---|---|---|\n" + rows)
	}
}

func defaultText(flag *pflag.Flag) string {
	switch flag.DefValue {
	case "", "false", "[]":
		return ""
	}
	return "`" + flag.DefValue + "`"
}
