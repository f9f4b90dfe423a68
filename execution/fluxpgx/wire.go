package fluxpgx

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errMixed is returned when a connection of a replay is used outside it.
var errMixed = errors.New("a connection of a replay is used outside it, or a real one in a replay")

// A wire is a connection as pgx sees it. It reads both directions as they pass, or answers itself. Reads and writes may happen at
// the same time, as they do in a COPY.
type wire struct {
	net.Conn // to the server, nil for a virtual one
	a        *adapter
	virtual  bool
	used     bool   // by an execution
	chunk    []byte // that the only reader reads into

	mu       sync.Mutex
	changed  *sync.Cond // something came for a reader of a virtual connection
	deadline time.Time  // of reads from a virtual connection
	timer    *time.Timer
	closed   bool
	err      error // that reads return after what is left

	ctx        context.Context // under which messages are sent
	started    bool            // start-up is over
	parameters map[string]string
	refusal    *pgconn.PgError // with which a replayed start-up ends

	in   []byte // from the client, an unfinished message
	back []byte // from the server, an unfinished message
	out  []byte // for the client
	sent int    // of out

	session
}

func newWire(ctx context.Context, a *adapter, conn net.Conn) *wire {
	w := &wire{Conn: conn, a: a, ctx: ctx, chunk: make([]byte, 16<<10), parameters: make(map[string]string)}
	w.changed = sync.NewCond(&w.mu)
	w.statements, w.portals = make(map[string]*statement), make(map[string]*portal)
	return w
}

// bind tells the connection under which context the next messages are sent. It works on nil.
func (w *wire) bind(ctx context.Context) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.used = ctx, w.used || !isSetup(ctx)
	w.bringSetup()
}

func (w *wire) serverParameters() map[string]string {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return map[string]string{"server_version": w.parameters["server_version"], "TimeZone": w.parameters["TimeZone"]}
}

// Write implements net.Conn for messages of the client.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	forward, err := w.fromClient(p)
	w.mu.Unlock()
	if err != nil || w.virtual {
		return len(p), err
	}
	if _, err = w.Conn.Write(forward); err != nil {
		w.mu.Lock()
		w.broke(err)
		w.mu.Unlock()
		return 0, err
	}
	return len(p), nil
}

// fromClient takes messages of the client and returns what the server is to get: all of it, but for statements that a resume
// answers.
func (w *wire) fromClient(p []byte) (forward []byte, err error) {
	if w.a.replaysIn(w.ctx) != w.virtual {
		return nil, errMixed
	}
	if !w.started {
		if w.virtual {
			w.startUp(p)
		}
		return p, nil
	}
	data := p
	if len(w.in) > 0 {
		data = append(w.in, p...)
	}
	w.off = !w.records()
	w.expectPipeline(data)
	rest, all := data, true
	for len(rest) >= 5 {
		n := messageLength(rest)
		if n > len(rest) {
			break
		}
		pass := w.clientMessage(rest[0], rest[5:n])
		if w.refused != nil {
			return nil, w.refused
		}
		if all && !pass {
			forward = append(forward, data[:len(data)-len(rest)]...)
		} else if !all && pass {
			forward = append(forward, rest[:n]...)
		}
		all = all && pass
		rest = rest[n:]
	}
	if all {
		forward = data[:len(data)-len(rest)]
	}
	w.in = append(w.in[:0:0], rest...)
	w.changed.Broadcast()
	return forward, nil
}

// records says whether operations under the context of the connection belong to somebody.
func (w *wire) records() bool {
	return w.a.rec.ExecutionIn(w.ctx) != nil || w.a.rec.Booting() || isSetup(w.ctx)
}

// messageLength returns the length of a message with its type and its length.
func messageLength(data []byte) int {
	return 1 + max(4, int(binary.BigEndian.Uint32(data[1:])))
}

// Read implements net.Conn for messages to the client.
func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.sent < len(w.out):
			n := copy(p, w.out[w.sent:])
			if w.sent += n; w.sent == len(w.out) {
				w.sent, w.out = 0, emptied(w.out)
			}
			return n, nil
		case w.err != nil:
			return 0, w.err
		case !w.virtual:
			if err := w.fill(); err != nil && w.sent == len(w.out) {
				return 0, err
			}
		case w.closed:
			return 0, net.ErrClosed
		case !w.deadline.IsZero() && !time.Now().Before(w.deadline):
			return 0, os.ErrDeadlineExceeded
		case !w.notify():
			w.changed.Wait()
		}
	}
}

// emptied returns a buffer for use again, unless it has grown large.
func emptied(buf []byte) []byte {
	if cap(buf) > 64<<10 {
		return nil
	}
	return buf[:0]
}

// fill reads from the server. The lock is not held meanwhile.
func (w *wire) fill() error {
	w.mu.Unlock()
	n, err := w.Conn.Read(w.chunk)
	w.mu.Lock()
	w.fromServer(w.chunk[:n])
	if err != nil {
		w.broke(err)
	}
	return err
}

// fromServer takes messages of the server and hands them on.
func (w *wire) fromServer(data []byte) {
	if len(w.back) > 0 {
		w.back = append(w.back, data...)
		data = w.back
	}
	for len(data) >= 5 {
		n := messageLength(data)
		if n > len(data) {
			break
		}
		w.serverMessage(data[0], data[:n])
		data = data[n:]
	}
	w.back = append(emptied(w.back), data...)
}

// SetDeadline implements net.Conn.
func (w *wire) SetDeadline(t time.Time) error {
	if !w.virtual {
		return w.Conn.SetDeadline(t)
	}
	return w.SetReadDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(t time.Time) error {
	if !w.virtual {
		return w.Conn.SetReadDeadline(t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	if w.timer != nil {
		w.timer.Stop()
	}
	if !t.IsZero() {
		w.timer = time.AfterFunc(time.Until(t), w.wake)
	}
	w.changed.Broadcast()
	return nil
}

func (w *wire) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed.Broadcast()
}

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if !w.virtual {
		return w.Conn.SetWriteDeadline(t)
	}
	return nil
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	w.broke(net.ErrClosed)
	w.changed.Broadcast()
	w.mu.Unlock()
	if w.virtual {
		return nil
	}
	return w.Conn.Close()
}

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.address(net.Conn.LocalAddr) }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.address(net.Conn.RemoteAddr) }

// virtualAddress is where virtual connections seem to go: one for documentation, which nothing has. pgx dials it for requests to
// cancel.
var virtualAddress = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5432}

func (w *wire) address(of func(net.Conn) net.Addr) net.Addr {
	if w.virtual {
		return virtualAddress
	}
	return of(w.Conn)
}
