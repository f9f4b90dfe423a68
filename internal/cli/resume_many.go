package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
)

// manyResult is what came of one of many.
type manyResult struct {
	ID      string `json:"id"`
	Resumed string `json:"resumed,omitempty"` // id of the execution that the resume made
	Outcome string `json:"outcome"`           // done, failed, refused, resumed (before), leased, error
	Error   string `json:"error,omitempty"`
}

// manyOutcomes are the outcomes in the order they are shown.
var manyOutcomes = []string{"done", "failed", "refused", "leased", "resumed", "error"}

// many resumes executions in processes of their services.
type many struct {
	p    *program
	c    *client
	opts *execution.ResumeOptions

	mu     sync.Mutex
	bar    *progress
	totals map[string]int
	failed []manyResult
	done   int64
	err    error // of writing
}

// resumeMany resumes all executions that the flags pick.
func (p *program) resumeMany(ctx context.Context, opts *execution.ResumeOptions, o resumeOptions) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	filter, err := o.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	if filter.Status == "" {
		filter.Failed = true
	}
	picked, err := p.pick(ctx, c, filter)
	if err != nil {
		return asUsage(err)
	}
	if len(picked) == 0 {
		return p.err.printf("No failed executions match.\n")
	}
	if err := p.showPicked(picked, o.plan); err != nil || o.plan {
		return err
	}
	if err := p.confirm(o.yes, "Resume "+plural(len(picked), "execution")+"?"); err != nil {
		return err
	}
	m := &many{p: p, c: c, opts: opts, totals: make(map[string]int), bar: newProgress(p.err, "resuming", int64(len(picked)), count[int64])}
	m.run(ctx, picked, o.concurrency)
	m.bar.end()
	return m.end(len(picked))
}

// pick lists what to resume, the oldest first. Executions that only repeat others are not resumed themselves.
func (p *program) pick(ctx context.Context, c *client, filter *fluxv1.ExecutionFilter) ([]*fluxv1.ExecutionSummary, error) {
	var picked []*fluxv1.ExecutionSummary
	request := &fluxv1.ListExecutionsRequest{Filter: filter, MaxSize: maxPicked}
	for {
		page, err := c.executions.ListExecutions(ctx, connect.NewRequest(request))
		if err != nil {
			return nil, err
		}
		for _, x := range page.Msg.GetExecutions() {
			switch x.GetRelation() {
			case "replay", "resume", "bisect", "incident":
			default:
				picked = append(picked, x)
			}
		}
		if request.Cursor = page.Msg.GetCursor(); request.Cursor == "" {
			slices.Reverse(picked)
			return picked, nil
		}
	}
}

// maxPicked is the size of a page.
const maxPicked = 1000

// showPicked tells a person what is going to be resumed, by service and route.
func (p *program) showPicked(picked []*fluxv1.ExecutionSummary, all bool) error {
	if p.json {
		if !all {
			return nil
		}
		for _, x := range picked {
			if err := p.out.printJSON(showExecution(x)); err != nil {
				return err
			}
		}
		return nil
	}
	counts := make(map[[3]string]int)
	var keys [][3]string
	for _, x := range picked {
		method, path := triggerColumns(x)
		key := [3]string{x.GetService(), strings.TrimSpace(method + " " + path), fit(x.GetError(), 50)}
		if counts[key]++; counts[key] == 1 {
			keys = append(keys, key)
		}
	}
	slices.SortStableFunc(keys, func(a, b [3]string) int { return counts[b] - counts[a] })
	t := newTable(">executions", "service", "what", "error")
	for _, key := range keys[:min(len(keys), maxKinds)] {
		t.add(count(counts[key]), key[0], key[1], key[2])
	}
	if err := t.write(p.out); err != nil {
		return err
	}
	if more := len(keys) - maxKinds; more > 0 {
		return p.out.printf("and %s\n", plural(more, "kind"))
	}
	return nil
}

// maxKinds is how many lines the list of what is to be resumed has.
const maxKinds = 20

func (m *many) run(ctx context.Context, picked []*fluxv1.ExecutionSummary, concurrency int) {
	next := make(chan *fluxv1.ExecutionSummary)
	var workers sync.WaitGroup
	for range concurrency {
		workers.Go(func() {
			for x := range next {
				m.note(m.one(ctx, x))
			}
		})
	}
	for _, x := range picked {
		if ctx.Err() != nil {
			break
		}
		next <- x
	}
	close(next)
	workers.Wait()
}

func (m *many) one(ctx context.Context, x *fluxv1.ExecutionSummary) manyResult {
	result := manyResult{ID: x.GetId()}
	report, err := resumeThere(ctx, m.c, x.GetId(), x.GetService(), m.opts)
	switch {
	case errors.Is(err, execution.ErrLeased):
		result.Outcome = "leased"
	case errors.Is(err, execution.ErrResumed):
		result.Outcome = "resumed"
	case errors.Is(err, execution.ErrRefused):
		result.Outcome = "refused"
	case err != nil:
		result.Outcome = "error"
	default:
		result.Resumed, result.Error = report.Execution.String(), report.Replayed.Message
		switch result.Outcome = "failed"; resumeCode(report) {
		case exitDone:
			result.Outcome, result.Error = "done", ""
		case exitRefused:
			result.Outcome, result.Error = "refused", report.Refused.Error()
		}
	}
	if err != nil {
		result.Error, _ = m.p.explain(err)
	}
	return result
}

func (m *many) note(r manyResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.totals[r.Outcome]++
	m.done++
	m.bar.set(m.done)
	if m.p.json {
		m.err = errors.Join(m.err, m.p.out.printJSON(r))
	} else if r.Outcome != "done" && r.Outcome != "resumed" && len(m.failed) < maxKinds {
		m.failed = append(m.failed, r)
	}
}

// end writes the totals and returns the verdict.
func (m *many) end(picked int) error {
	if m.p.json {
		m.err = errors.Join(m.err, m.p.out.printJSON(map[string]any{"executions": picked, "totals": m.totals}))
	} else {
		m.write(picked)
	}
	switch {
	case m.err != nil:
		return m.err
	case int(m.done) < picked || m.totals["error"] > 0:
		return &verdict{exitFailed}
	case m.totals["failed"] > 0:
		return &verdict{4}
	case m.totals["refused"]+m.totals["leased"] > 0:
		return &verdict{exitRefused}
	}
	return nil
}

func (m *many) write(picked int) {
	s := m.p.out
	for _, r := range m.failed {
		m.err = errors.Join(m.err, s.printf("%s  %s  %s\n", shortID(r.ID), s.red(r.Outcome), fit(plain(r.Error), 100)))
	}
	var parts []string
	for _, outcome := range manyOutcomes {
		if n := m.totals[outcome]; n > 0 {
			parts = append(parts, count(n)+" "+outcome)
		}
	}
	m.err = errors.Join(m.err, s.printf("%s of %s: %s\n", count(m.done), plural(picked, "execution"), strings.Join(parts, " · ")))
}
