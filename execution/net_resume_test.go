package execution_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A till takes charges, and counts them. It drops the connection on "crash".
type till struct {
	mu      sync.Mutex
	charges []string
}

func (w *till) talk(conn net.Conn) {
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "crash"; {
		w.mu.Lock()
		w.charges = append(w.charges, in.Text())
		w.mu.Unlock()
		fmt.Fprintf(conn, "took %s\n", in.Text())
	}
}

// resumeTalk resumes a program.
func resumeTalk(t *testing.T, of *record.Execution, opts *execution.ResumeOptions, address string, program talk) (any, error) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, opts)
	if err != nil {
		t.Fatal(err)
	}
	saw, err := program(ctx, rec.Dialer(nil), address)
	x.End(err)
	return saw, err
}

// each has a connection for each charge.
func each(charges ...string) talk {
	return func(ctx context.Context, d *execution.Dialer, address string) (any, error) {
		var all []any
		for _, charge := range charges {
			saw, err := with(converse(charge+"\n"))(ctx, d, address)
			if err != nil {
				return all, err
			}
			all = append(all, saw)
		}
		return all, nil
	}
}

// together has one connection for all charges.
func together(charges ...string) talk {
	for i := range charges {
		charges[i] += "\n"
	}
	return with(converse(charges...))
}

func TestAResumeDoesNotRepeatATurn(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		recorded, resumed talk
		assume            map[uint32]bool
		took              string // by the peer, all in all
		err               error
	}{
		"what failed is not decided":       {each("a", "crash", "b"), each("a", "crash", "b"), nil, "[a]", execution.ErrRefused},
		"what failed was not done":         {each("a", "crash", "b"), each("a", "crash", "b"), map[uint32]bool{3: false}, "[a]", nil},
		"goes on after what was completed": {each("a"), each("a", "b"), nil, "[a b]", nil},
		"a dialogue that was done in part": {together("a"), together("a", "b"), nil, "[a]", execution.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &till{}
			p := listen(t, w.talk)
			of, _, _ := recordTalk(t, nil, p.address, one.recorded)
			_, err := resumeTalk(t, of, &execution.ResumeOptions{Assume: one.assume}, p.address, one.resumed)
			p.stop()
			if took := fmt.Sprint(w.charges); took != one.took || one.err != nil && !errors.Is(err, one.err) || errors.Is(err, execution.ErrRefused) != (one.err != nil) {
				t.Errorf("the peer took %s, not %s; the resume ended with %v", took, one.took, err)
			}
		})
	}
}

// TestAResumeConnectsWhereItCouldNotBefore has a connection that was refused, and the peer there when it is tried again.
func TestAResumeConnectsWhereItCouldNotBefore(t *testing.T) {
	t.Parallel()
	of, l := refusedTalk(t)
	w := &till{}
	p := serve(t, l, w.talk)
	saw, err := resumeTalk(t, of, nil, l.Addr().String(), each("a"))
	p.stop()
	if fmt.Sprint(saw) != "[[took a\n]]" || err != nil || len(w.charges) != 1 {
		t.Errorf("saw %v, %v; the peer took %v", saw, err, w.charges)
	}
}

// refusedTalk records a program whose peer was not there, and returns the record and the peer's listener. An address that is free
// may be somebody else's the moment after, so it tries some.
func refusedTalk(t *testing.T) (*record.Execution, net.Listener) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		_ = l.Close()
		of, _, err := recordTalk(t, nil, address, each("a"))
		if err == nil {
			continue
		}
		if l, err = net.Listen("tcp", address); err == nil {
			return of, l
		}
	}
	t.Fatal("no address stays free")
	return nil, nil
}
