package fluxredis

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A parser fills commands from replies, with a client of its own whose connection ends in memory.
type parser struct {
	client *redis.Client
	conn   *memoryConn
}

// memoryAddress is the address of the clients of parsers, which are not to be instrumented, whoever sees them.
const memoryAddress = "replies in memory"

// parsers are reused: making one costs twenty times as much as filling a command.
var parsers = sync.Pool{New: func() any { return newParser() }}

func newParser() *parser {
	p := &parser{conn: &memoryConn{}}
	p.client = redis.NewClient(&redis.Options{
		Addr: memoryAddress, Protocol: 2, PoolSize: 1, MaxRetries: -1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return p.conn, nil },
	})
	return p
}

// fill gives the replies to commands, one to each, in order. It returns the first error of a command.
func fill(ctx context.Context, cmds []redis.Cmder, replies [][]byte) error {
	p := parsers.Get().(*parser)
	var first error
	for i, cmd := range cmds {
		p.conn.arm(replies[i])
		if err := p.client.Process(context.WithoutCancel(ctx), cmd); err != nil && first == nil {
			first = err
		}
		if p.conn.pending() { // the command did not take the whole reply: nobody else may get the rest
			_ = p.client.Close()
			return first
		}
	}
	parsers.Put(p)
	return first
}

// memoryConn is a connection whose other end answers what it was armed with.
type memoryConn struct {
	mu      sync.Mutex
	reply   bytes.Buffer
	greeted bool
}

func (c *memoryConn) arm(reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reply.Reset()
	c.reply.Write(reply)
}

func (c *memoryConn) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reply.Len() > 0
}

// Read implements net.Conn.
func (c *memoryConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reply.Len() == 0 {
		return 0, io.EOF
	}
	return c.reply.Read(p)
}

// Write implements net.Conn. Nothing is done with commands: their replies are known. Only the greeting of a new connection comes
// unexpected; a server that does not know it is one that clients get along with.
func (c *memoryConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted && bytes.Contains(p, []byte("\r\nhello\r\n")) {
		c.greeted = true
		armed := bytes.Clone(c.reply.Bytes())
		c.reply.Reset()
		c.reply.WriteString("-ERR unknown command 'hello'\r\n")
		c.reply.Write(armed)
	}
	return len(p), nil
}

// Close implements net.Conn.
func (c *memoryConn) Close() error { return nil }

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn.
func (c *memoryConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *memoryConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
