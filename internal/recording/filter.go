package recording

import (
	"strings"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// Filter picks executions: those for which all holds that is set.
type Filter struct {
	Status record.Status
	// Failed picks those that ended, and not well.
	Failed  bool
	Service string
	// Route is the whole route, with or without a method before it.
	Route string
	// Path is a path or a beginning of it that ends before a slash, or, without a slash at its beginning, a part of a path.
	Path string
	// Method is compared without regard to case.
	Method string
	// Since and Until bound the start, the latter exclusively, to the millisecond.
	Since, Until time.Time
	MinDuration  time.Duration
	// Text has words that must all occur.
	Text string
	// Where has conditions on fields of the record.
	Where       []Condition
	RequestID   string
	Fingerprint string
	Parent      record.ID
	Root        record.ID
	Relation    record.Relation
	// MessageID and Linked name what it is linked to.
	MessageID string
	Linked    record.ID
	Kind      record.TriggerKind
	Instance  string
	// Trace is the id of a trace, 32 hexadecimal digits in lower case.
	Trace  string
	Pinned bool
}

// terms returns sets of terms: the executions that the filter picks have one of each set at least.
func (f *Filter) terms() [][]term {
	var sets [][]term
	for _, t := range f.summaryTerms() {
		sets = append(sets, []term{t})
	}
	for _, word := range f.words() {
		sets = append(sets, []term{newTerm(termWord, word)})
	}
	for _, condition := range f.Where {
		for _, word := range condition.words() {
			sets = append(sets, []term{newTerm(termWord, word), newTerm(termMoreWords, "")})
		}
	}
	return sets
}

// summaryTerms returns terms that the summaries have which the filter picks.
func (f *Filter) summaryTerms() []term {
	var t terms
	t.addText(termStatus, string(f.Status))
	if f.Failed {
		t.add(newTerm(termFailed, ""))
	}
	t.addText(termService, f.Service)
	t.addText(termRoute, routePattern(f.Route))
	if all := pathBeginnings(f.Path); f.hasWholePath() && len(all) > 0 {
		t.add(newTerm(termPath, all[len(all)-1]))
	}
	t.addText(termMethod, strings.ToLower(f.Method))
	for i := len(slowSteps) - 1; i >= 0; i-- {
		if f.MinDuration >= slowSteps[i] {
			t.add(slowTerm(slowSteps[i]))
			break
		}
	}
	t.addText(termRequest, f.RequestID)
	t.addText(termFingerprint, f.Fingerprint)
	t.addText(termParent, f.Parent.String())
	t.addText(termRoot, f.Root.String())
	t.addText(termRelation, string(f.Relation))
	t.addText(termMessage, f.MessageID)
	t.addText(termLinked, f.Linked.String())
	t.addText(termKind, string(f.Kind))
	t.addText(termInstance, f.Instance)
	t.addText(termTrace, f.Trace)
	if f.Pinned {
		t.add(newTerm(termPinned, ""))
	}
	return t.all
}

func (f *Filter) hasWholePath() bool { return strings.HasPrefix(f.Path, "/") }

// words returns the words of Text.
func (f *Filter) words() (all []string) {
	for word := range splitWords(f.Text) {
		all = append(all, word)
	}
	return all
}

// picks compares what a summary can tell: all but words and conditions.
func (f *Filter) picks(i *Item) bool {
	return f.picksEnd(i) && f.picksTrigger(i) && f.picksLine(i) && (!f.Pinned || i.Pinned)
}

// picksEnd compares how and when it ended.
func (f *Filter) picksEnd(i *Item) bool {
	milli := i.Start.UnixMilli()
	return allows(f.Status, i.Status) && (!f.Failed || i.Status.Failed()) && i.Duration >= f.MinDuration &&
		allows(f.Fingerprint, i.Fingerprint) &&
		(f.Since.IsZero() || milli >= f.Since.UnixMilli()) && (f.Until.IsZero() || milli < f.Until.UnixMilli())
}

// picksTrigger compares where it ran and what set it off.
func (f *Filter) picksTrigger(i *Item) bool {
	return allows(f.Service, i.Service) && allows(f.Instance, i.Instance) && allows(f.Kind, i.Kind) && f.picksPath(i.Path) &&
		(f.Route == "" || f.Route == i.Route || f.Route == routePattern(i.Route)) &&
		(f.Method == "" || strings.EqualFold(f.Method, i.Method))
}

func (f *Filter) picksPath(path string) bool {
	if !f.hasWholePath() {
		return strings.Contains(path, f.Path)
	}
	above := strings.TrimRight(f.Path, "/")
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '/')
}

// picksLine compares what it is linked to.
func (f *Filter) picksLine(i *Item) bool {
	return allows(f.RequestID, i.RequestID) && allows(f.Parent, i.Parent) && allows(f.Root, i.Root) &&
		allows(f.Relation, i.Relation) && allows(f.Trace, i.Trace) &&
		hasLink(i, f.MessageID, func(l *record.Link) string { return l.MessageID }) &&
		hasLink(i, f.Linked, func(l *record.Link) record.ID { return l.Execution })
}

// allows says that a filter wants nothing, or what there is.
func allows[T comparable](want, got T) bool {
	var zero T
	return want == zero || want == got
}

// hasLink says that a filter wants no link, or one that there is, as far as links are terms.
func hasLink[T comparable](i *Item, want T, of func(*record.Link) T) bool {
	var zero T
	if want == zero {
		return true
	}
	for n := range i.Links[:min(len(i.Links), maxLinkTerms)] {
		if of(&i.Links[n]) == want {
			return true
		}
	}
	return false
}
