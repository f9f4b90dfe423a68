package cli

import (
	"context"

	"github.com/flux-go/flux/execution"
)

// abandonResult is what --abandon writes with --json.
type abandonResult struct {
	Version   int  `json:"version"`
	Abandoned bool `json:"abandoned"` // false with --plan
	*execution.Abandonment
}

// abandon gives up a resume that began, and whose end never came.
func (p *program) abandon(ctx context.Context, arg string, o resumeOptions) error {
	id := arg
	if isRecordingFile(arg) {
		bundle, err := readRecording(arg)
		if err != nil {
			return err
		}
		id = bundle.Execution.ID.String()
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	a, err := execution.Abandonable(ctx, c.executions, id)
	if err != nil {
		return p.refusal(err)
	}
	if err := p.showAbandonment(a, o.plan); err != nil || o.plan {
		return err
	}
	if err := p.confirm(o.yes, "Give it up?"); err != nil {
		return err
	}
	if a, err = execution.Abandon(ctx, c.executions, a.Resume.ID.String(), holderName()); err != nil {
		return p.refusal(err)
	}
	if p.json {
		return p.out.printJSON(abandonResult{1, true, a})
	}
	return p.out.printf("%s\n%s flux resume %s --plan\n", p.out.green("given up"), p.out.dim("next"), a.Of.Short())
}

// showAbandonment says what is given up.
func (p *program) showAbandonment(a *execution.Abandonment, plan bool) error {
	if p.json {
		if !plan {
			return nil
		}
		return p.out.printJSON(abandonResult{1, false, a})
	}
	v := &traceView{s: p.out, x: a.Resume}
	v.printf("The resume %s of %s began at %s in %s, and nothing was heard of its end.\n", a.Resume.ID.Short(), a.Of.Short(),
		a.Resume.Start.UTC().Format(timeFormat), plain(a.Resume.Instance))
	v.printf("What it did is given up: a record of it that comes later is not taken.\n")
	for i := range a.Resume.Checkpoints {
		if cp := &a.Resume.Checkpoints[i]; cp.InDoubt() {
			v.printf("  %s  %s\n", p.out.yellow("in doubt"), v.what(cp))
		}
	}
	v.printf("What is in doubt needs a decision in the next resume. What it did beyond the recording is not known, and may be done twice.\n")
	return v.err
}
