package cli

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func configCommand(p *program) *cobra.Command {
	config := &cobra.Command{
		Use:   "config",
		Short: "Look at the settings of this program",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Show which settings are in effect, and where they come from",
		Long: "Show which settings are in effect, and where each comes from: a flag, the environment (FLUX_LISTEN for --listen), " +
			"the file given with --config or FLUX_CONFIG, or its default. A setting that does not exist or has a bad value is an error.\n\n" +
			"With --json, one document: an object per setting with \"value\" and \"from\". Tokens are not shown.",
		Example: "  flux config check --config flux.yaml\n  FLUX_LISTEN=127.0.0.1:9000 flux config check --json",
		Args:    cobra.NoArgs,
	}
	p.connection(check.Flags())
	p.server(check.Flags())
	p.store(check.Flags())
	check.RunE = p.run(func(context.Context, []string) error { return p.showSettings(check.Flags()) })
	config.AddCommand(check)
	return config
}

// showSettings writes every setting that is among flags.
func (p *program) showSettings(flags *pflag.FlagSet) error {
	p.warnOfUnknown(flags)
	type effective struct {
		Value string `json:"value"`
		From  string `json:"from"`
	}
	all := map[string]effective{}
	rows := newTable("setting", "value", "from")
	new(settings).all().VisitAll(func(setting *pflag.Flag) {
		value, from := flags.Lookup(setting.Name).Value.String(), "default"
		if origin := p.origin[setting.Name]; origin != "" {
			from = origin
		}
		if setting.Name == "token" && value != "" {
			value = "(set)"
		}
		all[setting.Name] = effective{value, from}
		rows.add(setting.Name, value, from)
	})
	if p.json {
		return p.out.printJSON(all)
	}
	return rows.write(p.out)
}

// warnOfUnknown warns of variables that look like settings and are none. They are no errors, because others may name
// variables so, too.
func (p *program) warnOfUnknown(flags *pflag.FlagSet) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		setting := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "FLUX_"), "_", "-"))
		if strings.HasPrefix(name, "FLUX_") && flags.Lookup(setting) == nil {
			_ = p.err.printf("Warning: %s is set, but there is no such setting\n", name)
		}
	}
}
