package cli

import (
	"context"
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

func redactCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redact",
		Short: "See what is hidden in recordings",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(testRedactionCommand(p), rulesCommand(p))
	return cmd
}

// redactOptions are the flags of redact test.
type redactOptions struct {
	rules, place string
	fail         bool
}

func testRedactionCommand(p *program) *cobra.Command {
	var o redactOptions
	cmd := &cobra.Command{
		Use:   "test FILE|ID",
		Short: "Show what rules would hide, and what they would not",
		Long: "Show what redaction rules would hide in a recording, and what they would leave although it looks like a secret: to all detectors, " +
			"or by its name. Values are not shown, but their stand-ins, and at most the last four characters of what is not hidden.\n\n" +
			recordingNote + " Any other FILE is a JSON document, such as the body of a request, from the place that --place names.\n\n" +
			"With --json, one document: {\"rules\",\"recorded\":{\"rules\",\"count\"},\"hidden\":[…],\"open\":[…]}. rules is a hash, recorded what " +
			"was hidden when it was recorded; hidden and open have {\"place\",\"rule\",\"by\",\"standIn\"}.",
		Example: "  flux redact test failure.fluxrec --rules redact.yaml\n  flux redact test order.json --place http.request.body --fail",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.testRedaction(ctx, args[0], o) }),
	}
	cmd.Flags().StringVar(&o.rules, "rules", "", "YAML `file` with rules, see docs/redaction.md")
	cmd.Flags().StringVar(&o.place, "place", "http.request.body", "`place` that a JSON document is from")
	cmd.Flags().BoolVar(&o.fail, "fail", false, "fail when something is not hidden")
	p.connection(cmd.Flags())
	return cmd
}

// redactionTest is what redact test finds, as --json writes it.
type redactionTest struct {
	Rules    string           `json:"rules"`
	Recorded record.Redaction `json:"recorded,omitzero"`
	Hidden   []redact.Finding `json:"hidden"`
	Open     []redact.Finding `json:"open"`
}

func (p *program) testRedaction(ctx context.Context, arg string, o redactOptions) error {
	rules, err := redactionRules(o.rules)
	if err != nil {
		return err
	}
	found := redactionTest{Rules: rules.Hash()}
	if err := p.inspect(ctx, rules, arg, o.place, &found); err != nil {
		return err
	}
	if p.json {
		err = p.out.printJSON(found)
	} else {
		err = p.showRedaction(&found)
	}
	if err == nil && o.fail && len(found.Open) > 0 {
		err = failf("add rules for them, or keep what is no secret with \"do: keep\"", "%s not hidden", valuesAre(len(found.Open)))
	}
	return err
}

func valuesAre(n int) string {
	if n == 1 {
		return "1 value is"
	}
	return plural(n, "value") + " are"
}

// redactionRules returns the rules of a file, or the default ones.
func redactionRules(path string) (*redact.Rules, error) {
	if path == "" {
		return redact.Default(), nil
	}
	return redact.ReadFile(path)
}

// inspect finds what rules hide in what an argument names.
func (p *program) inspect(ctx context.Context, rules *redact.Rules, arg, place string, found *redactionTest) error {
	found.Hidden, found.Open = []redact.Finding{}, []redact.Finding{}
	document, err := os.ReadFile(arg)
	if err == nil && json.Valid(document) {
		hidden, open, err := rules.InspectPayload(place, document)
		found.Hidden, found.Open = append(found.Hidden, hidden...), append(found.Open, open...)
		return err
	}
	bundle, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	for _, x := range []*record.Execution{bundle.Execution, bundle.Boot} {
		if x == nil {
			continue
		}
		hidden, open, err := rules.Inspect(x)
		if err != nil {
			return err
		}
		found.Hidden, found.Open = append(found.Hidden, hidden...), append(found.Open, open...)
		found.Recorded.Rules = x.Redaction.Rules
		found.Recorded.Count += x.Redaction.Count
	}
	return nil
}

func (p *program) showRedaction(found *redactionTest) error {
	if found.Recorded.Count > 0 {
		if err := p.out.printf("Hidden when it was recorded: %s, by rules %s.\n", plural(found.Recorded.Count, "value"), found.Recorded.Rules); err != nil {
			return err
		}
	}
	if err := p.showFindings("Would be hidden", found.Hidden, p.out.green); err != nil {
		return err
	}
	return p.showFindings("Would not be hidden", found.Open, p.out.red)
}

func (p *program) showFindings(title string, findings []redact.Finding, paint func(string) string) error {
	if len(findings) == 0 {
		return p.out.printf("%s: nothing.\n", title)
	}
	if err := p.out.printf("%s\n", paint(title+": "+plural(len(findings), "value"))); err != nil {
		return err
	}
	rows := newTable("place", "found by", "stand-in")
	for _, finding := range findings {
		standIn := finding.StandIn
		if standIn == "" {
			standIn = "(left out)"
		}
		rows.add(finding.Place, finding.By, standIn)
	}
	return rows.write(p.out)
}

func rulesCommand(p *program) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show redaction rules",
		Long: "Show the rules that hide secrets in recordings, in the order in which they apply: those of a file, and the default ones after them. " +
			"Passwords in connection strings are always hidden.\n\n" +
			"With --json, one document: {\"hash\",\"rules\"}.",
		Example: "  flux redact rules\n  flux redact rules --rules redact.yaml",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(context.Context, []string) error { return p.showRules(path) }),
	}
	cmd.Flags().StringVar(&path, "rules", "", "YAML `file` with rules, see docs/redaction.md")
	return cmd
}

func (p *program) showRules(path string) error {
	rules, err := redactionRules(path)
	if err != nil {
		return err
	}
	if p.json {
		return p.out.printJSON(map[string]any{"hash": rules.Hash(), "rules": rules.Rules()})
	}
	text, err := rules.YAML()
	if err != nil {
		return err
	}
	return p.out.printf("# rules %s\n%s", rules.Hash(), text)
}
