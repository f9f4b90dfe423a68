package cli

import (
	"cmp"
	"context"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// orders are the values of --order.
var orders = map[string]execution.Order{
	"fast": execution.OrderFast, "strict": execution.OrderStrict, "random": execution.OrderRandom,
}

// checkOrder takes over --order and --sweep.
func (o *replayOptions) checkOrder() error {
	order, ok := orders[cmp.Or(o.order, "fast")]
	switch {
	case !ok:
		return usagef("use fast, strict or random", "--order %s", o.order)
	case o.sweep < 0:
		return usagef("use 1 or more", "--sweep %d", o.sweep)
	}
	o.Order = order
	return nil
}

// inOrders runs a replay of a record in a program, and then in so many random orders as --sweep says, until one does not come out well. It returns the
// last result.
func (p *program) inOrders(ctx context.Context, bundle *record.Bundle, command []string, o *replayOptions) (*rerunResult, error) {
	for seed := o.Seed; ; seed++ {
		if seed > o.Seed {
			o.Order = execution.OrderRandom
		}
		opts := o.ReplayOptions
		opts.Seed = seed
		run := &rerun{p: p, bundle: bundle, command: command, address: o.address}
		result, err := run.run(ctx, execution.Control{Replay: &opts}, o.save)
		if err != nil || seed == o.Seed+uint64(o.sweep) {
			return result, err
		}
		judged, err := verdictOf(result.report, o.expect)
		if err != nil {
			return nil, err
		}
		if judged.ExitCode != exitDone {
			if opts.Order == execution.OrderRandom {
				_ = p.err.printf("the order of --order random --seed %d is one that it does not come out well in\n", seed)
			}
			return result, nil
		}
	}
}
