package recording

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// node is a part while a tree is arranged.
type node struct {
	Part
	record *record.Execution // nil when it is not kept
	cause  *node
	caused []*node
	begun  time.Time // as far as it is known
}

// arrangement puts members into a tree. What an execution says of its own cause counts more than what another says to have
// caused: a cache may answer with the id of an execution that somebody else caused.
type arrangement struct {
	nodes      []*node // in the order of the members, then others as they are met
	byID       map[record.ID]*node
	publishers map[string]*node // by message
}

// arrange returns the tree of members, the first of which was asked for.
func arrange(members []*treeMember, more bool) *Tree {
	a := arrangement{byID: make(map[record.ID]*node), publishers: make(map[string]*node)}
	for _, m := range members {
		a.node(m.item.ID).Item, a.node(m.item.ID).record = m.item, m.record
	}
	asked, kept := a.nodes[0], slices.Clone(a.nodes)
	for _, n := range kept {
		n.settle()
	}
	inOrder(kept) // so that the tree is the same whichever of them was asked for
	for _, n := range kept {
		n.eachEffect(func(_ *record.Checkpoint, l record.Link) {
			if key := messageKey(l); key != "" {
				a.publishers[key] = n
			}
		})
	}
	for _, n := range kept {
		a.tieToCause(n)
	}
	for _, n := range kept {
		a.tieEffects(n)
	}
	for _, n := range a.nodes {
		if n.cause != nil && n.Call == nil {
			n.Call = n.cause.callOf(n)
		}
	}
	for _, n := range kept {
		a.addUnhandled(n)
	}
	return a.tree(asked, more)
}

// node returns the node of an execution.
func (a *arrangement) node(id record.ID) *node {
	n := a.byID[id]
	if n == nil {
		n = a.add(Part{ID: id})
		a.byID[id] = n
	}
	return n
}

func (a *arrangement) add(p Part) *node {
	n := &node{Part: p}
	a.nodes = append(a.nodes, n)
	return n
}

// tieToCause ties an execution to what it says has caused it.
func (a *arrangement) tieToCause(n *node) {
	cause := record.ID{}
	for _, l := range n.record.Links {
		if l.Kind == record.LinkCause {
			cause = l.Execution
			if messageKey(l) != "" {
				n.Message = l
			}
			break
		}
	}
	key := messageKey(n.Message)
	switch {
	case !cause.IsZero():
		n.tie(a.node(cause))
	case !n.Item.Parent.IsZero():
		n.tie(a.node(n.Item.Parent))
	case a.publishers[key] != nil:
		n.tie(a.publishers[key])
	case key != "": // of somebody who does not record
		publisher := a.add(Part{Message: n.Message})
		a.publishers[key] = publisher
		n.tie(publisher)
	}
}

// tieEffects ties executions to one that has called them, unless they have another cause.
func (a *arrangement) tieEffects(n *node) {
	n.eachEffect(func(op *record.Checkpoint, l record.Link) {
		if l.Execution.IsZero() {
			return
		}
		callee := a.node(l.Execution)
		if callee.cause == nil {
			callee.tie(n)
		}
		if callee.cause == n {
			callee.Call = op
		}
	})
}

// addUnhandled adds what is known of the handlers of messages that no execution here has handled: that there were messages.
func (a *arrangement) addUnhandled(n *node) {
	handled := make(map[string]bool)
	for _, other := range n.caused {
		handled[messageKey(other.Message)] = true
	}
	n.eachEffect(func(op *record.Checkpoint, l record.Link) {
		answered := slices.ContainsFunc(op.Links, func(l record.Link) bool { return !l.Execution.IsZero() })
		if key := messageKey(l); key != "" && !handled[key] && !answered {
			handled[key] = true
			a.add(Part{Message: l, Call: op}).tie(n)
		}
	})
}

// eachEffect calls f with each link to what an execution has caused, and the operation that did.
func (n *node) eachEffect(f func(*record.Checkpoint, record.Link)) {
	if n.record == nil {
		return
	}
	for i := range n.record.Checkpoints {
		for _, l := range n.record.Checkpoints[i].Links {
			if l.Kind == record.LinkEffect {
				f(&n.record.Checkpoints[i], l)
			}
		}
	}
}

// tie makes cause the cause of n, unless that would make it its own cause, as only a forged record can ask.
func (n *node) tie(cause *node) {
	for above := cause; above != nil; above = above.cause {
		if above == n {
			return
		}
	}
	n.cause = cause
	cause.caused = append(cause.caused, n)
}

// callOf returns the operation that caused another execution, nil when the records do not tell: the one with a link to its message,
// the one whose span it came with, or else the only one that asked for what the other did and got no answer with an id.
func (n *node) callOf(other *node) *record.Checkpoint {
	if n.record == nil {
		return nil
	}
	key, number, known := messageKey(other.Message), uint32(0), false
	if other.record != nil {
		number, known = spanNumber(n.ID, &other.record.Trigger)
	}
	var silent []*record.Checkpoint
	for i := range n.record.Checkpoints {
		op := &n.record.Checkpoints[i]
		if known && op.Number == number || key != "" && slices.ContainsFunc(op.Links, func(l record.Link) bool { return messageKey(l) == key }) {
			return op
		}
		if other.record != nil && len(op.Links) == 0 && asksFor(op, &other.record.Trigger) {
			silent = append(silent, op)
		}
	}
	if len(silent) == 1 {
		return silent[0]
	}
	return nil
}

// spanNumber returns the number of the operation whose span a request came with: the transport of package execution makes it of the
// first bytes of the caller's id and of the number after that of the operation.
func spanNumber(caller record.ID, t *record.Trigger) (uint32, bool) {
	span, err := hex.DecodeString(t.TraceSpan())
	if err != nil || len(span) != 8 || !bytes.Equal(span[:4], caller[:4]) || t.Kind != record.TriggerHTTP {
		return 0, false
	}
	return binary.BigEndian.Uint32(span[4:]) - 1, true
}

// asksFor says that an operation asks for what a trigger says was asked for.
func asksFor(op *record.Checkpoint, t *record.Trigger) bool {
	switch t.Kind {
	case record.TriggerHTTP:
		return op.Boundary == "http" && op.Shape == t.Method+" "+t.Path
	case record.TriggerGRPC:
		return op.Boundary == "grpc" && op.Shape == t.Method
	}
	return false
}

// messageKey is the same for links to the same message, "" for links to none.
func messageKey(l record.Link) string {
	switch {
	case l.MessageID != "":
		return l.MessageID
	case l.Log != "" && l.Index != 0:
		return l.Log + "#" + strconv.FormatUint(l.Index, 10)
	}
	return ""
}

// tree returns the nodes in their order.
func (a *arrangement) tree(asked *node, more bool) *Tree {
	var roots []*node
	for _, n := range a.nodes {
		if n.cause == nil {
			n.settle()
			roots = append(roots, n)
		}
	}
	inOrder(roots)
	t := &Tree{More: more, Parts: make([]Part, 0, len(a.nodes))}
	var place func(n *node, cause int)
	place = func(n *node, cause int) {
		at := len(t.Parts)
		if n == asked {
			t.Asked = at
		}
		n.Cause = cause
		t.Parts = append(t.Parts, n.Part)
		for _, caused := range n.caused {
			place(caused, at)
		}
	}
	for _, root := range roots {
		place(root, -1)
	}
	return t
}

// settle finds out when a node and those below it began, and sorts them.
func (n *node) settle() {
	for _, caused := range n.caused {
		caused.settle()
	}
	inOrder(n.caused)
	switch {
	case n.Item != nil:
		n.begun = n.Item.Start
	case n.Call != nil:
		n.begun = n.cause.Item.Start.Add(n.Call.Start)
	case len(n.caused) > 0:
		n.begun = n.caused[0].begun
	}
}

func inOrder(nodes []*node) {
	slices.SortStableFunc(nodes, func(a, b *node) int {
		return cmp.Or(a.begun.Compare(b.begun), bytes.Compare(a.ID[:], b.ID[:]))
	})
}
