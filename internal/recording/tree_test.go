package recording

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// called makes an execution one that another has called, whether or not that is kept.
func called(x *record.Execution, by byte) *record.Execution {
	x.Parent, x.Relation = record.ID{0: by, 6: 0x40, 8: 0x80}, record.RelationChild
	x.Links = append(x.Links, record.Link{Kind: record.LinkCause, Execution: x.Parent})
	return x
}

// calls adds an operation that another execution answered, 0 for none that is known.
func calls(x *record.Execution, shape string, callee byte) *record.Execution {
	n := uint32(len(x.Checkpoints))
	cp := record.Checkpoint{Number: n, Boundary: "http", Shape: shape, State: record.StateDone, Start: time.Duration(n) * time.Millisecond}
	if callee != 0 {
		cp.Links = []record.Link{{Kind: record.LinkEffect, Execution: record.ID{0: callee, 6: 0x40, 8: 0x80}}}
	}
	x.Checkpoints = append(x.Checkpoints, cp)
	return x
}

// publishes adds an operation that published a message.
func publishes(x *record.Execution, id string) *record.Execution {
	calls(x, "publish "+id, 0)
	x.Checkpoints[len(x.Checkpoints)-1].Links = []record.Link{messageLink(record.LinkEffect, id)}
	return x
}

// handles makes an execution one that a message set off, of a publisher whose execution is known unless it is 0.
func handles(x *record.Execution, id string, publisher byte) *record.Execution {
	link := messageLink(record.LinkCause, id)
	if publisher != 0 {
		link.Execution = record.ID{0: publisher, 6: 0x40, 8: 0x80}
		x.Parent, x.Relation = link.Execution, record.RelationChild
	}
	x.Links = append(x.Links, link)
	return x
}

func messageLink(kind record.LinkKind, id string) record.Link {
	return record.Link{Kind: kind, Log: "event", MessageID: id}
}

// traced puts an execution into the trace, as called with a span.
func traced(x *record.Execution, span string) *record.Execution {
	x.Trigger.Trace = "00-0af7651916cd43dd8448eb211c80319c-" + span + "-01"
	return x
}

// treeText is a tree with a line for each part: indented below its cause, its first byte or - when it is not kept in brackets, and
// the number of the operation.
func treeText(t *testing.T, tree *Tree) string {
	t.Helper()
	var out strings.Builder
	depth := make([]int, len(tree.Parts))
	for i, p := range tree.Parts {
		if p.Cause >= i {
			t.Fatalf("part %d has cause %d, which is not before it", i, p.Cause)
		}
		if p.Cause >= 0 {
			depth[i] = depth[p.Cause] + 1
		}
		name := hex.EncodeToString(p.ID[:1])
		switch {
		case p.ID.IsZero():
			name = "(" + p.Message.MessageID + ")"
		case p.Item == nil:
			name = "(" + name + ")"
		}
		call := ""
		if p.Call != nil {
			call = fmt.Sprintf(" op %d", p.Call.Number)
		}
		fmt.Fprintf(&out, "%s%s%s\n", strings.Repeat("  ", depth[i]), name, call)
	}
	return out.String()
}

func TestTreeShowsWhoCausedWhom(t *testing.T) {
	t.Parallel()
	spanOf := func(caller byte, op byte) string { return fmt.Sprintf("%02x000000000000%02x", caller, op+1) }
	for name, test := range map[string]struct {
		kept []*record.Execution
		want string
	}{
		"calls of calls": {
			[]*record.Execution{
				calls(calls(request(1, "/a"), "GET /x", 0), "GET /b", 2), calls(called(request(2, "/b"), 1), "GET /c", 3), called(request(3, "/c"), 2),
			},
			"01\n  02 op 1\n    03 op 0\n",
		},
		"the one in the middle is not kept": {
			[]*record.Execution{calls(request(1, "/a"), "GET /b", 2), called(request(3, "/c"), 2)},
			"01\n  (02) op 0\n    03\n",
		},
		"neither cause nor callee are kept": {
			[]*record.Execution{calls(called(request(2, "/b"), 1), "GET /c", 3)},
			"(01)\n  02\n    (03) op 0\n",
		},
		"two in the middle are not kept": {
			[]*record.Execution{traced(calls(request(1, "/a"), "GET /b", 2), "b7ad6b7169203331"), traced(called(request(4, "/d"), 3), "0300000000000001")},
			"01\n  (02) op 0\n(03)\n  04\n",
		},
		"a service in the middle does not record": {
			[]*record.Execution{traced(request(1, "/a"), "b7ad6b7169203331"), traced(request(3, "/c"), "00f067aa0ba902b7")},
			"01\n03\n",
		},
		"messages": {
			[]*record.Execution{
				publishes(publishes(request(1, "/a"), "m1"), "m2"), handles(request(3, "event"), "m1", 1), handles(request(2, "event"), "m1", 1),
			},
			"01\n  (m2) op 1\n  02 op 0\n  03 op 0\n", // as they began
		},
		"a message without the name of its publisher": {
			[]*record.Execution{publishes(request(1, "/a"), "m1"), handles(request(2, "event"), "m1", 0)},
			"01\n  02 op 0\n",
		},
		"a message of somebody who does not record": {
			[]*record.Execution{handles(request(1, "event"), "m1", 0), handles(request(2, "event"), "m1", 0)},
			"(m1)\n  01\n  02\n",
		},
		"a question that was answered has no handler besides": {
			[]*record.Execution{func() *record.Execution {
				x := publishes(request(1, "/a"), "m1")
				x.Checkpoints[0].Links = append(x.Checkpoints[0].Links, record.Link{Kind: record.LinkEffect, Execution: record.ID{0: 2, 6: 0x40, 8: 0x80}})
				return x
			}()},
			"01\n  (02) op 0\n",
		},
		"a call without answer is known by its span": {
			[]*record.Execution{calls(calls(request(1, "/a"), "POST /b", 0), "POST /b", 0), traced(called(request(2, "/b"), 1), spanOf(1, 1))},
			"01\n  02 op 1\n",
		},
		"a call without answer is known by what it asked": {
			[]*record.Execution{calls(calls(request(1, "/a"), "GET /b", 0), "POST /b", 0), called(request(2, "/b"), 1)},
			"01\n  02 op 1\n",
		},
		"two calls without answer are not told apart": {
			[]*record.Execution{calls(calls(request(1, "/a"), "POST /b", 0), "POST /b", 0), called(request(2, "/b"), 1)},
			"01\n  02\n",
		},
		"a cache answers with the execution of somebody else": {
			[]*record.Execution{calls(request(1, "/a"), "GET /c", 3), calls(request(2, "/b"), "GET /c", 3), called(request(3, "/c"), 2)},
			"01\n02\n  03 op 0\n",
		},
		"causes in a circle": {
			[]*record.Execution{calls(called(request(1, "/a"), 2), "POST /b", 2), calls(called(request(2, "/b"), 1), "POST /a", 1)},
			"02\n  01 op 0\n",
		},
		"the cause of itself": {[]*record.Execution{calls(called(request(1, "/a"), 1), "POST /a", 1)}, "01\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.record(append(test.kept, request(9, "/other"))...)
			for _, x := range test.kept {
				tree, err := w.x.Tree(ns, x.ID.String())
				if err != nil {
					t.Fatal(err)
				}
				if got := treeText(t, tree); got != test.want || tree.Parts[tree.Asked].ID != x.ID || tree.More {
					t.Errorf("tree of %x, asked %d, more %v:\n%swant\n%s", x.ID[0], tree.Asked, tree.More, got, test.want)
				}
			}
		})
	}
}

func TestTreeShowsAttemptsAndResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retry := handles(request(3, "event"), "m1", 1)
	retry.Parent, retry.Relation = record.ID{0: 2, 6: 0x40, 8: 0x80}, record.RelationRetry
	resume := request(4, "event")
	resume.Parent, resume.Relation = retry.ID, record.RelationResume
	w.record(publishes(request(1, "/a"), "m1"), handles(request(2, "event"), "m1", 1), retry, resume)
	tree, err := w.x.Tree(ns, resume.ID.String())
	if want := "01\n  02 op 0\n  03 op 0\n    04\n"; err != nil || treeText(t, tree) != want {
		t.Errorf("tree\n%swant\n%s(%v)", treeText(t, tree), want, err)
	}
}

func TestTreeIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := request(1, "/a")
	ops := []engine.Operation{newRecord(t, root)}
	for i := range maxTreeParts {
		x := called(request(1, "/b"), 1)
		x.ID[14], x.ID[15] = byte((i+1)>>8), byte(i+1)
		ops = append(ops, newRecord(t, x))
	}
	propose(t, w.e, ops...)
	tree, err := w.x.Tree(ns, root.ID.String())
	if err != nil || len(tree.Parts) != maxTreeParts || !tree.More || tree.Parts[tree.Asked].ID != root.ID {
		t.Errorf("%d parts, asked %d, more %v (%v)", len(tree.Parts), tree.Asked, tree.More, err)
	}
	for i, p := range tree.Parts {
		if i > 0 && p.Cause != 0 {
			t.Errorf("part %d has cause %d", i, p.Cause)
		}
	}
	if _, err := w.x.Tree(ns, "ffff"); !errors.Is(err, ErrNotFound) {
		t.Errorf("tree of nothing: %v", err)
	}
}
