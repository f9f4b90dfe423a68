package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// treeNote describes the JSON form of a tree.
const treeNote = `With --tree and --json, one document: {"asked","parts","more"}. A part is {"id","kept","cause","operation","message","execution"}: ` +
	`asked and cause are places in parts, from 0; operation is what the cause did, as {"number","boundary","target","shape","startMs","durationMs",` +
	`"state","failed","error"}; execution is as flux logs --json has it, and missing when it is not kept.`

func (p *program) traceTree(ctx context.Context, arg string) error {
	if isRecordingFile(arg) {
		return usagef("flux import it, or take an id from flux logs", "--tree asks the server for other executions, and a file has only one")
	}
	if _, _, err := record.ParsePrefix(arg); err != nil {
		return usagef("take an id from flux logs", "%w", err)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.executions.GetExecutionTree(ctx, connect.NewRequest(&fluxv1.GetExecutionTreeRequest{Id: arg}))
	if err != nil {
		return err
	}
	if p.json {
		return p.out.printJSON(showTree(answer.Msg))
	}
	v := newTreeView(p.out, answer.Msg)
	v.write()
	return v.err
}

// treeDocument is a tree as --json writes it.
type treeDocument struct {
	Asked int32      `json:"asked"`
	Parts []treePart `json:"parts"`
	More  bool       `json:"more,omitempty"`
}

type treePart struct {
	ID        string         `json:"id,omitempty"`
	Kept      bool           `json:"kept"`
	Cause     *int32         `json:"cause,omitempty"`
	Operation *treeOperation `json:"operation,omitempty"`
	Message   *executionLink `json:"message,omitempty"`
	Execution *executionRow  `json:"execution,omitempty"`
}

type treeOperation struct {
	Number     int64   `json:"number"`
	Boundary   string  `json:"boundary"`
	Target     string  `json:"target,omitempty"`
	Shape      string  `json:"shape"`
	StartMs    float64 `json:"startMs"`
	DurationMs float64 `json:"durationMs"`
	State      string  `json:"state"`
	Failed     bool    `json:"failed,omitempty"`
	Error      string  `json:"error,omitempty"`
}

func showTree(in *fluxv1.GetExecutionTreeResponse) treeDocument {
	out := treeDocument{Asked: in.GetAsked(), More: in.GetMore(), Parts: make([]treePart, len(in.GetParts()))}
	for i, part := range in.GetParts() {
		p := treePart{ID: part.GetId(), Kept: part.GetSummary() != nil}
		if cause := part.GetCause(); cause >= 0 {
			p.Cause = &cause
		}
		if call := part.GetCall(); call != nil {
			p.Operation = &treeOperation{
				call.GetNumber(), call.GetBoundary(), call.GetTarget(), call.GetShape(), float64(call.GetStartUs()) / 1000,
				float64(call.GetDurationUs()) / 1000, call.GetState(), call.GetFailed(), call.GetError(),
			}
		}
		if link := part.GetMessage(); link != nil {
			shown := showLink(link)
			p.Message = &shown
		}
		if part.GetSummary() != nil {
			row := showExecution(part.GetSummary())
			p.Execution = &row
		}
		out.Parts[i] = p
	}
	return out
}

// A treeView writes a tree of executions, with the operations between them. The first error of writing stays.
type treeView struct {
	s      *screen
	tree   *fluxv1.GetExecutionTreeResponse
	caused map[int32][]int32 // places of parts by that of their cause, -1 for none
	err    error
}

func newTreeView(s *screen, tree *fluxv1.GetExecutionTreeResponse) *treeView {
	v := &treeView{s: s, tree: tree, caused: make(map[int32][]int32)}
	for i, part := range tree.GetParts() {
		v.caused[part.GetCause()] = append(v.caused[part.GetCause()], int32(i))
	}
	return v
}

func (v *treeView) printf(format string, args ...any) {
	if v.err == nil {
		v.err = v.s.printf(format, args...)
	}
}

func (v *treeView) write() {
	v.printf("%s\n\n", v.heading())
	for _, root := range v.caused[-1] {
		v.part(root, "", "")
	}
	if v.tree.GetMore() {
		v.printf("\n%s\n", v.s.yellow("There are more executions than are shown."))
	}
	if id := v.origin(); id != "" {
		v.printf("\n%s flux why %s\n", v.s.dim("next"), shortID(id))
	}
}

// heading counts what is in the tree.
func (v *treeView) heading() string {
	services, kept, missing := map[string]bool{}, 0, 0
	trace := ""
	for _, part := range v.tree.GetParts() {
		switch x := part.GetSummary(); {
		case x != nil:
			kept++
			services[x.GetService()] = true
			trace = cmp.Or(trace, x.GetTrace())
		case part.GetId() != "":
			missing++
		}
	}
	text := v.s.bold(plural(kept, "execution")) + " of " + plural(len(services), "service")
	if missing > 0 {
		text += fmt.Sprintf(", and %d not kept", missing)
	}
	if trace != "" {
		text += v.s.dim("  trace " + plain(trace))
	}
	return text
}

// origin returns the execution that failed and caused no other that did: the place to look at first. Empty for none.
func (v *treeView) origin() string {
	var last *fluxv1.ExecutionSummary
	for i, part := range v.tree.GetParts() {
		x := part.GetSummary()
		if x.GetFailed() && !v.failedBelow(int32(i)) && (last == nil || x.GetStart() < last.GetStart()) {
			last = x
		}
	}
	return last.GetId()
}

func (v *treeView) failedBelow(at int32) bool {
	for _, below := range v.caused[at] {
		if v.tree.GetParts()[below].GetSummary().GetFailed() || v.failedBelow(below) {
			return true
		}
	}
	return false
}

// part writes a part behind first, and all that it caused behind rest.
func (v *treeView) part(at int32, first, rest string) {
	part := v.tree.GetParts()[at]
	mark := ""
	if at == v.tree.GetAsked() {
		mark = "  " + v.s.bold("◂")
	}
	v.printf("%s%s%s\n", first, v.line(part), mark)
	groups := v.groups(at)
	if x := part.GetSummary(); x.GetFailed() && x.GetError() != "" {
		bar := "   "
		if len(groups) > 0 {
			bar = "│  "
		}
		v.printf("%s%s%s\n", rest, bar, v.s.red(cut(plain(x.GetError()), max(v.s.width-20, 40))))
	}
	for i, group := range groups {
		branch, below := rest+"├─ ", rest+"│  "
		if i == len(groups)-1 {
			branch, below = rest+"└─ ", rest+"   "
		}
		label := v.between(v.tree.GetParts()[group[0]])
		if label == "" {
			v.part(group[0], branch, below)
			continue
		}
		v.printf("%s%s\n", branch, label)
		for j, at := range group {
			if j == len(group)-1 {
				v.part(at, below+"└─ ", below+"   ")
			} else {
				v.part(at, below+"├─ ", below+"│  ")
			}
		}
	}
}

// groups returns what a part caused, those that one operation caused together.
func (v *treeView) groups(at int32) (groups [][]int32) {
	place := map[string]int{}
	for _, i := range v.caused[at] {
		label := v.between(v.tree.GetParts()[i])
		n, ok := place[label]
		if label == "" || !ok {
			place[label] = len(groups)
			groups = append(groups, []int32{i})
			continue
		}
		groups[n] = append(groups[n], i)
	}
	return groups
}

// between is what lies between a part and its cause: an operation, or else a message.
func (v *treeView) between(part *fluxv1.ExecutionPart) string {
	call := part.GetCall()
	if call == nil {
		if part.GetMessage() == nil || part.GetCause() < 0 {
			return ""
		}
		return v.s.dim(messageText(part.GetMessage()))
	}
	what := call.GetShape()
	switch method, path, _ := strings.Cut(what, " "); call.GetBoundary() {
	case "http":
		what = method + " " + call.GetTarget() + path
	case "grpc":
		what = call.GetTarget() + what
	case "flux": // the target is the log
		what = call.GetTarget() + " " + what
	}
	text := fmt.Sprintf("%s %s  %s", v.s.dim(fmt.Sprintf("op %d", call.GetNumber())), v.s.bold(plain(call.GetBoundary()))+" "+cut(plain(what), max(v.s.width-40, 40)),
		v.s.dim(shortDuration(time.Duration(call.GetDurationUs())*time.Microsecond)))
	if call.GetFailed() {
		text += "  " + v.s.red(cut(plain(cmp.Or(call.GetError(), "failed")), 60))
	}
	return text
}

func messageText(l *fluxv1.ExecutionLink) string {
	return plain("message " + cmp.Or(l.GetMessageId(), fmt.Sprint(l.GetIndex())) + " of " + l.GetLog())
}

// line is what is known of one part.
func (v *treeView) line(part *fluxv1.ExecutionPart) string {
	x := part.GetSummary()
	switch {
	case x == nil && part.GetId() != "":
		return v.s.yellow("? not kept") + v.s.dim("  "+shortID(part.GetId()))
	case x == nil && part.GetCause() < 0:
		return v.s.yellow("? "+messageText(part.GetMessage())) + v.s.dim("  from somebody who does not record")
	case x == nil:
		return v.s.yellow("? "+messageText(part.GetMessage())) + v.s.dim("  no execution that handled it is kept")
	}
	method, path := triggerColumns(x)
	text := v.s.statusText(record.Status(x.GetStatus()), int(x.GetHttpStatus())) + "  " + v.s.bold(plain(x.GetService())) + " " + plain(method+" "+path)
	if x.GetStatus() != string(record.StatusRunning) {
		text += "  " + shortDuration(durationOf(x))
	}
	text += v.s.dim("  " + shortID(x.GetId()))
	switch relation := record.Relation(x.GetRelation()); {
	case relation != "" && relation != record.RelationChild:
		text += v.s.dim("  " + plain(x.GetRelation()) + " of " + shortID(x.GetParent()))
	case part.GetCause() >= 0 && part.GetCall() == nil && part.GetMessage() == nil:
		text += v.s.dim("  by which operation is not known")
	}
	return text
}
