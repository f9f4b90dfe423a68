package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func completionCommand(p *program, root *cobra.Command) *cobra.Command {
	shells := map[string]func() error{
		"bash":       func() error { return root.GenBashCompletionV2(p.out, true) },
		"zsh":        func() error { return root.GenZshCompletion(p.out) },
		"fish":       func() error { return root.GenFishCompletion(p.out, true) },
		"powershell": func() error { return root.GenPowerShellCompletionWithDesc(p.out) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Write a script that completes commands in a shell",
		Long: "Write a script for a shell that completes the commands and flags of this program. Have the shell read it when it starts.\n\n" +
			"With --json, the same: the script is no data.",
		Example: "  source <(flux completion bash)\n  flux completion fish > ~/.config/fish/completions/flux.fish",
		Args:    cobra.ExactArgs(1),
		RunE: p.run(func(_ context.Context, args []string) error {
			write, known := shells[args[0]]
			if !known {
				return usagef("use bash, zsh, fish or powershell", "no completion for %q", args[0])
			}
			return write()
		}),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
	}
}
