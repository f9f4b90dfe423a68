package recording

import (
	"errors"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Tree is what is known of executions that caused each other, in one service or in many.
type Tree struct {
	// Parts are the executions. Each comes after its cause, those with the same cause in the order in which they began.
	Parts []Part
	// Asked is the index of the execution that was asked for.
	Asked int
	// More says that there are more than were looked at.
	More bool
}

// Part is an execution of a Tree, or what others tell of one that is not kept.
type Part struct {
	// ID is zero for what is only known by its message.
	ID record.ID
	// Item is nil when the execution is not kept, or was none: a message may have no handler.
	Item *Item
	// Cause is the index of the part that caused this one, -1 when nothing is known to have.
	Cause int
	// Call is the operation of Cause that did, without payloads. Nil when it is not known which one.
	Call *record.Checkpoint
	// Message lies between the two. Zero for calls without one.
	Message record.Link
}

const (
	// maxTreeParts bounds the executions of a Tree that are kept, and maxTreeBytes, but for the last one, their records.
	maxTreeParts = 1000
	maxTreeBytes = 32 << 20
)

// Tree returns the executions that belong together with one, given as in Get: what caused it and what it caused, over as many
// steps as there are; what is tied to one of these that is not kept; and what has the same trace. Errors are those of Get.
func (x *Executions) Tree(ns message.Namespace, id string) (*Tree, error) {
	view := x.engine.View()
	defer view.Close()
	g := gathering{reader: reader{view, ns}, known: make(map[record.ID]*treeMember), asked: make(map[term]bool), left: maxTreeBytes}
	at, err := g.resolve(id)
	if err == nil {
		err = g.add(at)
	}
	for i := 0; i < len(g.members) && err == nil; i++ {
		err = g.follow(g.members[i].item)
	}
	if err != nil {
		return nil, err
	}
	return arrange(g.members, g.more), nil
}

// treeMember is an execution of a tree that is kept, with its record, which has lost its payloads.
type treeMember struct {
	item   *Item
	record *record.Execution
}

// gathering collects the members of a tree.
type gathering struct {
	reader
	members []*treeMember // in the order they were found, and followed
	known   map[record.ID]*treeMember
	asked   map[term]bool
	left    int // bytes of records
	more    bool
}

// follow adds what an execution is tied to, and what is tied to the same others, be these kept or not.
func (g *gathering) follow(i *Item) error {
	err := errors.Join(g.addID(i.ID), g.addID(i.Parent))
	for n := range i.Links {
		err = errors.Join(err, g.addID(i.Links[n].Execution), g.addTerm(termMessage, i.Links[n].MessageID))
	}
	return errors.Join(err, g.addTerm(termTrace, i.Trace))
}

// addID adds an execution, what it caused, and what is linked to it.
func (g *gathering) addID(id record.ID) error {
	if id.IsZero() {
		return nil
	}
	at, ok, err := g.place(id)
	if err == nil && ok {
		err = g.add(at)
	}
	return errors.Join(err, g.addTerm(termParent, id.String()), g.addTerm(termLinked, id.String()))
}

// addTerm adds what has a term.
func (g *gathering) addTerm(kind byte, value string) error {
	t := newTerm(kind, value)
	if value == "" || g.asked[t] {
		return nil
	}
	g.asked[t] = true
	prefix := termKey(g.ns, t)
	it, err := g.view.Scan(prefix, engine.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for err == nil && !g.full() && it.Next() {
		var at place
		if at, err = decodePlace(it.Key()[len(prefix):]); err == nil {
			err = g.add(at)
		}
	}
	return errors.Join(err, it.Close())
}

func (g *gathering) full() bool { return g.more || len(g.members) > maxTreeParts || g.left <= 0 }

// add adds the execution at a place, unless it is there.
func (g *gathering) add(at place) error {
	item, err := g.item(at)
	if err != nil || g.known[item.ID] != nil {
		return err
	}
	if g.more = g.more || len(g.members) == maxTreeParts || g.left <= 0; g.more {
		return nil
	}
	data, err := g.record(at)
	if err != nil {
		return err
	}
	g.left -= len(data)
	m := &treeMember{item: item}
	if m.record, err = record.Decode(data); err != nil {
		return errors.Join(engine.ErrCorrupt, err)
	}
	m.forget()
	g.known[item.ID] = m
	g.members = append(g.members, m)
	return nil
}

// forget drops what takes memory and is not asked for.
func (m *treeMember) forget() {
	x := m.record
	x.Input, x.Output, x.Logs, x.Sources, x.Notes = record.Payload{}, record.Payload{}, nil, nil, nil
	for i := range x.Checkpoints {
		x.Checkpoints[i].Request, x.Checkpoints[i].Response = record.Payload{}, record.Payload{}
	}
}
