package execution_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
)

// A reader reads lines in a goroutine of its own until the connection ends.
type reader struct {
	lines chan string
	ended chan error
}

func read(conn net.Conn) *reader {
	r := &reader{make(chan string, 100), make(chan error, 1)}
	go func() {
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				r.ended <- err
				return
			}
			r.lines <- strings.TrimSpace(line)
		}
	}()
	return r
}

// news pushes two lines for each subscription, cut in the middle of the second, the rest of which comes with the next one.
func news(conn net.Conn) {
	rest := ""
	for in := bufio.NewScanner(conn); in.Scan(); {
		_, topic, _ := strings.Cut(in.Text(), " ")
		fmt.Fprintf(conn, "%s%s one\n%s t", rest, topic, topic)
		rest = "wo\n"
	}
}

// subscriber reads what is pushed while it writes.
func subscriber(conn net.Conn) (any, error) {
	in := read(conn)
	var got []string
	for _, topic := range []string{"a", "b", "c"} {
		fmt.Fprint(conn, "subscribe ")
		fmt.Fprintf(conn, "%s\n", topic)
		got = append(got, <-in.lines)
		if topic != "a" {
			got = append(got, <-in.lines)
		}
	}
	err := conn.Close()
	return []any{got, errors.Is(<-in.ended, net.ErrClosed)}, err
}

// multiplexer has several requests under way on one connection, whose writers are goroutines in no order.
func multiplexer(conn net.Conn) (any, error) {
	in := read(conn)
	var mu sync.Mutex
	waiting := make(map[string]chan string)
	var group sync.WaitGroup
	got := make([]string, 5)
	for i := range got {
		group.Go(func() {
			id, answer := fmt.Sprint("r", i), make(chan string, 1)
			mu.Lock()
			waiting[id] = answer
			fmt.Fprintln(conn, id)
			mu.Unlock()
			got[i] = <-answer
		})
	}
	for range got {
		id, text, _ := strings.Cut(<-in.lines, " ")
		mu.Lock()
		answer := waiting[id]
		mu.Unlock()
		if answer == nil {
			return nil, fmt.Errorf("an answer to %s, which was not asked", id)
		}
		answer <- text
	}
	group.Wait()
	return got, conn.Close()
}

// backwards answers five requests once it has them all, the last first.
func backwards(conn net.Conn) {
	var all []string
	for in := bufio.NewScanner(conn); len(all) < 5 && in.Scan(); {
		all = append(all, in.Text())
	}
	slices.Reverse(all)
	for _, id := range all {
		fmt.Fprintf(conn, "%s answer to %s\n", id, id)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// poller looks for what comes in between other work, and stops when it was told enough.
func poller(conn net.Conn) (any, error) {
	for n := 0; ; n++ {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		data := make([]byte, 1)
		_, err := conn.Read(data)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Fprint(conn, "?")
		case err != nil || n > 3:
			return string(data), err
		}
	}
}

// A Read and a Write of a connection may be under way at once: what is recorded then depends on the scheduler, what is replayed does
// not.
func TestReadersAndWritersSideBySideReplay(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]struct {
		peer    func(net.Conn)
		program func(net.Conn) (any, error)
		ordered bool // it writes in the same order each time
	}{
		"pushed":                     {news, subscriber, true},
		"several requests under way": {backwards, multiplexer, false},
		"polled": {func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 3))
			fmt.Fprint(conn, strings.Repeat("x", 10))
			_, _ = io.Copy(io.Discard, conn)
		}, poller, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 10 {
				p := listen(t, d.peer)
				of, saw, err := recordTalk(t, nil, p.address, with(d.program))
				if err != nil {
					t.Fatal(err)
				}
				p.stop()
				for range 3 {
					report, again, err := replayTalk(t, noDialer{t}, of, p.address, with(d.program))
					same := report.Outcome == execution.OutcomeSame || !d.ordered && report.Outcome == execution.OutcomeDiverged
					if !same || err != nil || !reflect.DeepEqual(again, saw) {
						t.Fatalf("the replay saw\n%q, not\n%q: %v, %+v", again, saw, err, report)
					}
				}
			}
		})
	}
}

// What is written may be cut in other ways in a replay, where what it is made of comes all at once.
func TestAReaderOfItsOwnDoesNotCareHowWritesAreCut(t *testing.T) {
	t.Parallel()
	p := listen(t, backwards)
	cut := func(requests ...string) talk {
		return with(func(conn net.Conn) (any, error) {
			in := read(conn)
			for _, text := range requests {
				fmt.Fprint(conn, text)
			}
			var got []string
			for range 5 {
				got = append(got, <-in.lines)
			}
			return got, conn.Close()
		})
	}
	of, saw, _ := recordTalk(t, nil, p.address, cut("r1\n", "r2\nr3\n", "r4\n", "r5\n"))
	p.stop()
	for _, again := range []talk{cut("r1\nr2\nr3\nr4\nr5\n"), cut("r1", "\nr2\n", "r3\nr4\nr", "5\n")} {
		report, got, err := replayTalk(t, noDialer{t}, of, p.address, again)
		if report.Outcome != execution.OutcomeSame || !reflect.DeepEqual(got, saw) {
			t.Errorf("the replay saw %q, not %q: %v, %+v", got, saw, err, report)
		}
	}
}

// A Read that waits in a replay returns when its deadline is set to the past, as programs do to be rid of a reader.
func TestAWaitingReaderCanBeInterruptedInAReplay(t *testing.T) {
	t.Parallel()
	p := listen(t, news)
	interrupted := func(wait bool) talk {
		return with(func(conn net.Conn) (any, error) {
			in := read(conn)
			fmt.Fprint(conn, "subscribe a\n")
			got := <-in.lines
			if !wait {
				return got, nil
			}
			_ = conn.SetReadDeadline(time.Now().Add(-time.Second))
			return got, <-in.ended
		})
	}
	of, _, _ := recordTalk(t, nil, p.address, interrupted(false))
	p.stop()
	_, got, err := replayTalk(t, noDialer{t}, of, p.address, interrupted(true))
	if got != "a one" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, %v", got, err)
	}
}

// Connections side by side have the answers of their own peers, in lanes of their own.
func TestConnectionsSideBySideDoNotMix(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connections := 0
	p := listen(t, func(conn net.Conn) {
		mu.Lock()
		connections++
		me := connections
		mu.Unlock()
		for in := bufio.NewScanner(conn); in.Scan(); {
			fmt.Fprintf(conn, "%d %s\n", me, in.Text())
		}
	})
	program := func(ctx context.Context, d *execution.Dialer, address string) (any, error) {
		var group sync.WaitGroup
		got := make([][]string, 4)
		for i := range got {
			group.Add(1)
			execution.Go(ctx, fmt.Sprint("worker", i), func(ctx context.Context) {
				defer group.Done()
				conn, err := d.DialContext(ctx, "tcp", address)
				if err != nil {
					got[i] = []string{err.Error()}
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				for range 3 {
					fmt.Fprint(conn, "same\n")
					line, _ := in.ReadString('\n')
					got[i] = append(got[i], line)
				}
			})
		}
		group.Wait()
		return got, nil
	}
	of, saw, _ := recordTalk(t, nil, p.address, program)
	p.stop()
	report, again, _ := replayTalk(t, noDialer{t}, of, p.address, program)
	if !reflect.DeepEqual(again, saw) || report.Outcome != execution.OutcomeSame {
		t.Errorf("the replay saw\n%q, not\n%q: %+v", again, saw, report)
	}
}
