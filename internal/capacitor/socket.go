package capacitor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/message"
)

// socket is one websocket of a client.
type socket struct {
	opening
	handler *Handler
	conn    *websocket.Conn
	client  *client
	peers   *peers
	meter   *meter
	outbox  outbox
	service service
	decoder wire.Decoder
	// ctx ends when the socket has closed.
	ctx    context.Context
	cancel context.CancelFunc
	// waiting counts requests that have a goroutine, brief has a place for each of those that do not wait for messages.
	waiting sync.WaitGroup
	brief   chan struct{}
	polls   chan struct{}
	// progress counts the bytes that came and went, so that a client is not taken for dead that is busy sending or receiving
	// much. handling is set while the server carries out what came and reads nothing, answers to pings included.
	progress atomic.Int64
	handling atomic.Bool
}

// service carries out the requests that an endpoint takes.
type service interface {
	// handle carries out a request, or begins to. It returns errUnsupported for one that the endpoint does not take. Any
	// error is the result of the request.
	handle(r wire.Request) error
	// flush ends what is done for several requests at once. It is called after each frame, and before a request of
	// another type.
	flush()
}

const (
	// maxBrief bounds the requests of a socket that are carried out at the same time and do not wait for messages.
	// Source: the reference server.
	maxBrief = 64
	// maxPolls bounds those that wait for messages. A client has one for each of its trackers.
	maxPolls = 1 << 14
	// fragmentBytes is the length of the fragments of a large message.
	fragmentBytes = 64 << 10
	// keepBytes is the largest buffer that is kept for the next message.
	keepBytes = 4 << 20
)

func newSocket(h *Handler, conn *websocket.Conn, o opening) *socket {
	s := &socket{
		opening: o, handler: h, conn: conn, meter: h.meters.of(o.path),
		brief: make(chan struct{}, maxBrief), polls: make(chan struct{}, maxPolls),
	}
	s.outbox.ready = make(chan struct{}, 1)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.decoder.Format = o.format
	s.outbox.joins = o.format.Joins
	s.service = newService(s)
	return s
}

// serve serves the socket until it closes.
func (s *socket) serve() {
	s.meter.opened.Add(1)
	s.meter.open.Add(1)
	defer s.meter.open.Add(-1)
	s.reportConnect()
	var writing sync.WaitGroup
	writing.Go(s.write)
	writing.Go(s.keepAlive)
	err := s.read()
	s.leave(err)
	s.cancel()
	_ = s.conn.CloseNow() // it is closed already, or of no use
	writing.Wait()
	s.waiting.Wait()
	// A read may have been answered after the trackers were removed, which made its tracker a new one.
	s.handler.Tracking.ConnectionClosed(s)
}

// leave gives up what the client holds through the socket.
func (s *socket) leave(err error) {
	s.handler.registry.remove(s, s.handler.Clock())
	trackers := s.handler.Tracking.ConnectionClosed(s)
	s.peers.remove(s)
	code, reason := closeOf(err)
	s.handler.Logger.Debug("capacitor: socket closed", "session", s.sessionID(), "client", s.clientName, "service", s.path,
		"code", code, "reason", reason)
	s.reportDisconnect(trackers, code, reason)
}

// closeOf returns why a socket closed, in the words of its close frame. Without a valid one that is 1006, as clients that
// abort a socket say too, although no frame may.
func closeOf(err error) (code int, reason string) {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return int(closed.Code), closed.Reason
	}
	return int(websocket.StatusAbnormalClosure), ""
}

// close closes the socket with a code.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.conn.Close(code, reason) // reading tells how it ended
}

// read reads frames until the socket closes, and returns why it did.
func (s *socket) read() error {
	var buf bytes.Buffer
	for {
		kind, r, err := s.conn.Reader(context.Background())
		if err != nil {
			return err
		}
		if kind != websocket.MessageBinary {
			s.meter.unreadable.Add(1)
			s.handler.Logger.Warn("capacitor: dropped a text message", "session", s.sessionID(), "client", s.clientName)
			if _, err := io.Copy(io.Discard, r); err != nil {
				return err
			}
			continue
		}
		if buf.Reset(); buf.Cap() > keepBytes {
			buf = bytes.Buffer{}
		}
		if _, err := buf.ReadFrom(&counted{r, &s.progress}); err != nil {
			return err
		}
		s.meter.framesIn.Add(1)
		s.meter.bytesIn.Add(int64(buf.Len()))
		s.handling.Store(true)
		s.take(buf.Bytes())
		s.progress.Add(1) // before handling ends, so that it is one or the other
		s.handling.Store(false)
		if err := s.await(s.outbox.full()); err != nil {
			return err
		}
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// await waits for a channel that may be nil.
func (s *socket) await(c <-chan struct{}) error {
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// take carries out the requests of a frame. One that cannot be read tells nobody whom to answer.
func (s *socket) take(frame []byte) {
	if s.handler.registry.closing() {
		return // the client sends its requests again
	}
	text, err := wire.Decompress(frame, s.compression, s.handler.MaxMessageBytes)
	var requests []wire.Request
	if err == nil {
		requests, err = s.decoder.Requests(text)
	}
	if err == nil {
		s.handle(requests)
		return
	}
	s.meter.unreadable.Add(1)
	s.handler.Logger.Warn("capacitor: dropped an unreadable message", "session", s.sessionID(), "client", s.clientName,
		"service", s.path, "bytes", len(frame), "error", err)
}

// handle carries out requests in their order.
func (s *socket) handle(requests []wire.Request) {
	kind := ""
	for _, r := range requests {
		base := wire.BaseOf(r)
		if base.Type != kind {
			s.service.flush()
			kind = base.Type
		}
		if base.Err != nil {
			s.fail(base, base.Err)
			continue
		}
		if !s.begin(base) {
			continue
		}
		if s.cameBefore(r) {
			s.endWith(base, succeeded)
			continue
		}
		if err := s.service.handle(r); err != nil {
			s.end(base, err)
		}
	}
	s.service.flush()
}

// write writes what is in the outbox until the socket closes.
func (s *socket) write() {
	var text, packed []byte
	for {
		select {
		case <-s.outbox.ready:
		case <-s.ctx.Done():
			return
		}
		for batch := s.outbox.take(); len(batch) > 0; batch = s.outbox.take() {
			packed = wire.AppendCompressed(packed[:0], s.join(&text, batch), s.compression)
			if err := s.send(packed); err != nil {
				s.peers.deliver(s, batch...) // s is closed or about to be; then they go to another socket
				_ = s.conn.CloseNow()
				return
			}
			s.meter.framesOut.Add(1)
			s.meter.bytesOut.Add(int64(len(packed)))
			if max(cap(text), cap(packed)) > keepBytes {
				text, packed = nil, nil
			}
		}
	}
}

// join returns the content of a message with the results, which it may write to buf. A single one is sent bare.
func (s *socket) join(buf *[]byte, results [][]byte) []byte {
	if len(results) == 1 {
		return results[0]
	}
	*buf = s.format.AppendBatch((*buf)[:0], results)
	return *buf
}

// send writes a message. Between the fragments of a large one others may write control frames.
func (s *socket) send(packed []byte) error {
	ctx := context.Background() // the pings find out when the other end reads no more
	if len(packed) <= fragmentBytes {
		return s.conn.Write(ctx, websocket.MessageBinary, packed)
	}
	w, err := s.conn.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for len(packed) > 0 {
		n := min(len(packed), fragmentBytes)
		if _, err := w.Write(packed[:n]); err != nil {
			return err
		}
		s.progress.Add(int64(n))
		packed = packed[n:]
	}
	return w.Close()
}

// keepAlive pings the client until the socket closes, and closes it when there is no answer and nothing else moves either.
func (s *socket) keepAlive() {
	ticker := time.NewTicker(s.handler.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		before := s.progress.Load()
		ctx, cancel := context.WithTimeout(s.ctx, s.handler.PingTimeout)
		err := s.conn.Ping(ctx)
		cancel()
		if err != nil && s.ctx.Err() == nil && !s.handling.Load() && s.progress.Load() == before {
			s.close(websocket.StatusInternalError, "Ping failed")
			return
		}
	}
}

// result begins the result of a request.
func (s *socket) result(base *wire.Base) wire.Result {
	return wire.Result{ID: base.ID, Timestamp: s.handler.Clock().UnixMilli(), Format: s.format}
}

// answer delivers a result.
func (s *socket) answer(result []byte) { s.peers.deliver(s, result) }

// fail answers a request with an error, if anybody waits for an answer.
func (s *socket) fail(base *wire.Base, err error) {
	s.meter.errors.Add(1)
	if base.WantsAnswer() {
		s.answer(s.result(base).AppendError(nil, err.Error()))
		return
	}
	s.handler.Logger.Warn("capacitor: a command was not carried out", "session", s.sessionID(), "client", s.clientName,
		"service", s.path, "command", base.Type, "error", err)
}

// briefly carries out a request that needs no place in the order of commands. It waits while there are many of its kind.
func (s *socket) briefly(base *wire.Base, f func() ([]byte, error)) {
	select {
	case s.brief <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	s.waiting.Go(func() {
		defer func() { <-s.brief }()
		result, err := f()
		if err != nil {
			s.fail(base, err)
			return
		}
		s.answer(result)
	})
}

// metricsLog is the log that the server tells about sockets in.
var metricsLog = message.Log{Type: message.Metrics}
