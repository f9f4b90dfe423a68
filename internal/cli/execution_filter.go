package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/pflag"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// filterOptions are the flags that pick executions.
type filterOptions struct {
	status, service, route, path, method, search   string
	request, message, issue, parent, root, linked  string
	relation, kind, instance, since, until, slower string
	trace                                          string
	where                                          []string
	failed, pinned                                 bool
}

// conditionHelp describes --where.
const conditionHelp = "A condition on a field of the record is as req.body.orderId=1009 or op.error.class=deadline: a root (req, res, error, label, " +
	"note, trigger, or op for any operation), names with dots between them, one of = != < <= > >= ~ (contains), and a value. " +
	"A time is one such as 2026-01-31T12:00:00Z or 2026-01-31 (UTC), or a time ago such as 15m or 7d."

// register adds the flags that pick executions, except those of time.
func (o *filterOptions) register(flags *pflag.FlagSet) {
	o.registerLive(flags)
	flags.StringVar(&o.since, "since", "", "`time` of the first start")
	flags.StringVar(&o.until, "until", "", "`time` before which they started")
	flags.BoolVar(&o.pinned, "pinned", false, "only those that are pinned")
}

// registerLive adds the flags that pick executions as they come.
func (o *filterOptions) registerLive(flags *pflag.FlagSet) {
	flags.StringVar(&o.status, "status", "", "`status`: "+statusList())
	flags.BoolVar(&o.failed, "failed", false, "only those that ended, and not well")
	flags.StringVar(&o.service, "service", "", "`name` of the service")
	flags.StringVar(&o.route, "route", "", "`route` such as 'POST /orders/{id}'")
	flags.StringVar(&o.path, "path", "", "`path` with all below it, as /orders, or, without a slash before it, a part of a path")
	flags.StringVar(&o.method, "method", "", "HTTP `method`, method of gRPC, or type of a message")
	flags.StringVar(&o.slower, "slower", "", "`duration` that they took at least, as 500ms")
	flags.StringVar(&o.search, "search", "", "`words` of the error, path, log lines or payloads, all of which occur")
	flags.StringArrayVar(&o.where, "where", nil, "`condition` on a field of the record; may be repeated")
	flags.StringVar(&o.request, "request", "", "`id` of the request")
	flags.StringVar(&o.message, "message", "", "`id` of a message that caused it, or that it caused")
	flags.StringVar(&o.issue, "issue", "", "`fingerprint` of the issue, or its beginning")
	flags.StringVar(&o.parent, "parent", "", "`id` of the execution that it came from")
	flags.StringVar(&o.root, "root", "", "`id` of the first execution of its line")
	flags.StringVar(&o.linked, "linked", "", "`id` of an execution that caused it, or that it caused")
	flags.StringVar(&o.trace, "trace", "", "`id` of a trace, 32 digits of a traceparent")
	flags.StringVar(&o.relation, "relation", "", "`relation` to its parent: "+strings.Join(relations, ", "))
	flags.StringVar(&o.kind, "kind", "", "`kind` of what set it off: "+strings.Join(kinds, ", "))
	flags.StringVar(&o.instance, "instance", "", "`name` of the process")
}

var (
	relations = []string{
		string(record.RelationReplay), string(record.RelationResume), string(record.RelationRetry), string(record.RelationChild),
		string(record.RelationBisect), string(record.RelationIncident),
	}
	kinds = []string{
		string(record.TriggerHTTP), string(record.TriggerGRPC), string(record.TriggerMessage), string(record.TriggerJob),
		string(record.TriggerCLI), string(record.TriggerTest), string(record.TriggerBoot),
	}
)

func statusList() string {
	names := make([]string, len(record.Statuses))
	for i, status := range record.Statuses {
		names[i] = string(status)
	}
	return strings.Join(names, ", ")
}

// empty says that all executions are picked.
func (o *filterOptions) empty() bool {
	texts := o.status + o.service + o.route + o.path + o.method + o.search + o.request + o.message + o.issue + o.parent + o.root +
		o.linked + o.relation + o.kind + o.instance + o.trace + o.since + o.until + o.slower
	return texts == "" && len(o.where) == 0 && !o.failed && !o.pinned
}

// filter returns what the flags pick. Beginnings of ids are looked up; what the server would refuse is wrong usage.
func (o *filterOptions) filter(ctx context.Context, c *client, now time.Time) (*fluxv1.ExecutionFilter, error) {
	f := &fluxv1.ExecutionFilter{
		Status: o.status, Failed: o.failed, Service: o.service, Route: o.route, Path: o.path, Method: o.method, Text: o.search,
		Where: o.where, RequestId: o.request, MessageId: o.message, Relation: o.relation, Kind: o.kind, Instance: o.instance, Pinned: o.pinned, Trace: o.trace,
	}
	if err := o.check(f, now); err != nil {
		return nil, err
	}
	for _, id := range []struct {
		text string
		to   *string
	}{{o.parent, &f.Parent}, {o.root, &f.Root}, {o.linked, &f.Linked}} {
		if id.text == "" {
			continue
		}
		var err error
		if *id.to, err = c.executionID(ctx, id.text); err != nil {
			return nil, err
		}
	}
	if o.issue != "" {
		answer, err := c.executions.GetIssue(ctx, connect.NewRequest(&fluxv1.GetIssueRequest{Fingerprint: o.issue}))
		if err != nil {
			return nil, err
		}
		f.Fingerprint = answer.Msg.GetIssue().GetFingerprint()
	}
	return f, nil
}

// check refuses values that nothing can have, and fills in times.
func (o *filterOptions) check(f *fluxv1.ExecutionFilter, now time.Time) (err error) {
	for _, choice := range []struct {
		flag, value string
		of          []string
	}{
		{"status", o.status, strings.Split(statusList(), ", ")}, {"relation", o.relation, relations}, {"kind", o.kind, kinds},
	} {
		if choice.value != "" && !slices.Contains(choice.of, choice.value) {
			return usagef("use one of "+strings.Join(choice.of, ", "), "%q is no %s", choice.value, choice.flag)
		}
	}
	if o.slower != "" {
		slower, err := time.ParseDuration(o.slower)
		if err != nil || slower <= 0 {
			return usagef("use a duration such as 500ms or 2s", "%q is no duration", o.slower)
		}
		f.MinDurationUs = slower.Microseconds()
	}
	if f.Since, err = parseMilli(o.since, now); err != nil {
		return err
	}
	if f.Until, err = parseMilli(o.until, now); err != nil {
		return err
	}
	if f.Until != 0 && f.Until <= f.Since {
		return usagef("swap them", "--until %s is not after --since %s", o.until, o.since)
	}
	return nil
}

// parseMilli returns a time as people write it in milliseconds since the Unix epoch, 0 for none.
func parseMilli(text string, now time.Time) (int64, error) {
	const help = "use a time such as 2026-01-31T12:00:00Z or 2026-01-31 (UTC), or a time ago such as 15m or 7d"
	if text == "" {
		return 0, nil
	}
	if seconds, err := parseRetention(text); err == nil && seconds > 0 {
		return now.Add(-time.Duration(seconds) * time.Second).UnixMilli(), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago).UnixMilli(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.UnixMilli() > 0 {
			return t.UnixMilli(), nil
		}
	}
	return 0, usagef(help, "%q is no time", text)
}
