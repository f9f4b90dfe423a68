package capacitor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// patience is how long a test waits for what has to come.
const patience = 3 * time.Minute

// server is a handler with an engine below it, on a real socket.
type server struct {
	t       *testing.T
	engine  *engine.Engine
	logs    *messagelog.Logs
	handler *Handler
	http    *httptest.Server
	stop    func() // once
}

func start(t *testing.T, o Options) *server {
	t.Helper()
	e, err := engine.OpenMemory(engine.Options{Clock: o.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, e, o)
}

// startOn starts a server on an engine, which it closes.
func startOn(t *testing.T, e *engine.Engine, o Options) *server {
	t.Helper()
	s := &server{t: t, engine: e, logs: messagelog.New(e)}
	o.Engine, o.Logs, o.Positions = e, s.logs, position.New(e)
	o.Tracking = tracking.New(e, s.logs, o.Positions, tracking.Options{Clock: o.Clock})
	o.Streams, o.Values, o.Schedules = eventstore.New(e), keyvalue.New(e), schedule.New(e)
	scheduler := schedule.NewScheduler(e, schedule.Options{Clock: o.Clock})
	s.handler = New(o)
	s.http = httptest.NewServer(s.mux())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = o.Tracking.Run(ctx) })
	running.Go(func() { _ = scheduler.Run(ctx) })
	running.Go(func() { _ = s.handler.Run(ctx) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		s.http.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// mux mounts the handler as the server does.
func (s *server) mux() http.Handler {
	mux := http.NewServeMux()
	for _, path := range Paths {
		mux.Handle(path, s.handler)
	}
	return mux
}

// dialing says what a client asks for.
type dialing struct {
	client, name, project, topic string
	compression                  string // defaults to NONE
	header                       http.Header
}

func (d dialing) query() string {
	q := url.Values{}
	q.Set("clientId", "c1")
	q.Set("clientName", "app")
	for name, value := range map[string]string{
		"clientId": d.client, "clientName": d.name, "projectId": d.project, "topic": d.topic, "compression": d.compression,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// remote is one socket of a client. Its results are collected as they come.
type remote struct {
	t           *testing.T
	conn        *websocket.Conn
	compression wire.Compression
	mu          struct {
		sync.Mutex
		nextID   int64
		results  []result
		messages []int // number of results in each websocket message
		err      error
		changed  chan struct{}
	}
}

func (s *server) dial(path string, d dialing) *remote {
	s.t.Helper()
	if d.compression == "" {
		d.compression = "NONE"
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, s.http.URL+"/"+path+"?"+d.query(), &websocket.DialOptions{HTTPHeader: d.header})
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	_ = response
	conn.SetReadLimit(-1)
	c := &remote{t: s.t, conn: conn}
	c.mu.changed = make(chan struct{})
	c.mu.nextID = 100_000 // tests use lower numbers of their own
	c.compression, _ = wire.ParseCompression(d.compression)
	go c.collect()
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return c
}

// result has the members of all results.
type result struct {
	Type      string          `json:"@type"`
	RequestID *int64          `json:"requestId"`
	Timestamp *int64          `json:"timestamp"`
	Message   string          `json:"message"`
	Success   bool            `json:"success"`
	Position  json.RawMessage `json:"position"`
	Segment   []int           `json:"segment"`
	Messages  []received      `json:"messages"`
	Batch     struct {
		Segment   []int           `json:"segment"`
		Messages  []received      `json:"messages"`
		LastIndex *message.Index  `json:"lastIndex"`
		Position  json.RawMessage `json:"position"`
		CaughtUp  bool            `json:"caughtUp"`
	} `json:"messageBatch"`
	EventBatch struct {
		AggregateID string     `json:"aggregateId"`
		Events      []received `json:"events"`
		StoreOnly   *bool      `json:"storeOnly"`
	} `json:"eventBatch"`
	LastSequence  *int64              `json:"lastSequenceNumber"`
	AggregateIDs  map[string]string   `json:"aggregateIds"`
	Relationships []map[string]string `json:"relationships"`
	Value         *data               `json:"value"`
	Schedule      *struct {
		ScheduleID string   `json:"scheduleId"`
		Timestamp  int64    `json:"timestamp"`
		Message    received `json:"message"`
		IfAbsent   bool     `json:"ifAbsent"`
	} `json:"schedule"`

	raw string
}

// received is a message as clients read it.
type received struct {
	Data      data              `json:"data"`
	Metadata  map[string]string `json:"metadata"`
	Segment   *int              `json:"segment"`
	Index     *message.Index    `json:"index"`
	Source    *string           `json:"source"`
	Target    *string           `json:"target"`
	RequestID *int32            `json:"requestId"`
	Timestamp *int64            `json:"timestamp"`
	MessageID *string           `json:"messageId"`
}

type data struct {
	Value    []byte  `json:"value"`
	Type     *string `json:"type"`
	Revision int     `json:"revision"`
	Format   string  `json:"format"`
}

// collect reads results until the socket closes.
func (c *remote) collect() {
	for {
		_, packed, err := c.conn.Read(context.Background())
		if err == nil {
			err = c.unpack(packed)
		}
		c.mu.Lock()
		c.mu.err = err
		close(c.mu.changed)
		c.mu.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *remote) unpack(packed []byte) error {
	text, err := wire.Decompress(packed, c.compression, 1<<30)
	if err != nil {
		return err
	}
	var batch struct {
		Type    string            `json:"@type"`
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(text, &batch); err != nil {
		return fmt.Errorf("%.200s: %w", text, err)
	}
	raws := batch.Results
	if batch.Type != "resultBatch" {
		raws = []json.RawMessage{text}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.messages = append(c.mu.messages, len(batch.Results))
	for _, raw := range raws {
		r := result{raw: string(raw)}
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("%.200s: %w", raw, err)
		}
		c.mu.results = append(c.mu.results, r)
	}
	return nil
}

// id returns the number for the next request.
func (c *remote) id() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.nextID++
	return c.mu.nextID
}

// write sends the text of a frame.
func (c *remote) write(text string) {
	c.t.Helper()
	packed := wire.AppendCompressed(nil, []byte(text), c.compression)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageBinary, packed); err != nil {
		c.t.Fatal(err)
	}
}

// send sends a request whose members are given as JSON, and returns its number.
func (c *remote) send(kind, members string) int64 {
	c.t.Helper()
	id := c.id()
	c.write(request(id, kind, members))
	return id
}

func request(id int64, kind, members string) string {
	if members != "" {
		members = "," + members
	}
	return fmt.Sprintf(`{"@type":%q,"requestId":%d%s}`, kind, id, members)
}

// ask sends a request and returns its result.
func (c *remote) ask(kind, members string) result {
	c.t.Helper()
	return c.wait(c.send(kind, members))
}

// wait returns the result of a request.
func (c *remote) wait(id int64) (found result) {
	c.t.Helper()
	c.until(fmt.Sprintf("the result of request %d", id), func(all []result) bool {
		for _, r := range all {
			if r.RequestID != nil && *r.RequestID == id {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// until waits until what was received satisfies a condition.
func (c *remote) until(what string, enough func(all []result) bool) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		ok, err, changed := enough(c.mu.results), c.mu.err, c.mu.changed
		c.mu.Unlock()
		switch {
		case ok:
			return
		case err != nil:
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("no %s after %s", what, patience)
		}
	}
}

// received returns what came so far.
func (c *remote) received() []result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]result(nil), c.mu.results...)
}

// closed waits until the socket has closed and returns why.
func (c *remote) closed() error {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		err, changed := c.mu.err, c.mu.changed
		c.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatal("the socket does not close")
		}
	}
}

// hangUp closes the socket and waits until the server has noticed.
func (s *server) hangUp(c *remote) {
	s.t.Helper()
	c.ask("areYouThere", "").expect(s.t, "error") // so it is known to the server
	before := s.sockets()
	_ = c.conn.Close(websocket.StatusNormalClosure, "")
	s.eventually("the socket is gone", func() bool { return s.sockets() < before })
}

func (s *server) sockets() int {
	s.handler.registry.mu.Lock()
	defer s.handler.registry.mu.Unlock()
	return len(s.handler.registry.mu.sockets)
}

// eventually waits for what nobody signals.
func (s *server) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("not true after %s: %s", patience, what)
		}
		<-time.After(time.Millisecond)
	}
}

// expect fails unless the result is of the type.
func (r result) expect(t *testing.T, kind string) result {
	t.Helper()
	if r.Type != kind {
		t.Fatalf("got %.300s, want %s", r.raw, kind)
	}
	return r
}

// textOf returns the JSON of a message with an id and more members.
func textOf(id, members string) string {
	if members != "" {
		members = "," + members
	}
	return fmt.Sprintf(`{"data":{"value":"e30=","type":"com.example.Ping","revision":0,"format":"application/json"},"metadata":{},`+
		`"timestamp":1756900800000,"messageId":%q%s}`, id, members)
}

// appendAll appends messages and waits until they are stored.
func (c *remote) appendAll(messages ...string) {
	c.t.Helper()
	c.ask("append", `"messages":[`+strings.Join(messages, ",")+`],"guarantee":"STORED"`).expect(c.t, "void")
}

// log returns the messages of a log from an index on.
func (s *server) log(path string, d dialing) []received {
	s.t.Helper()
	c := s.dial(path, d)
	defer s.hangUp(c)
	return c.ask("readFromIndex", `"minIndex":0,"maxSize":1000000`).expect(s.t, "readFromIndexResult").Messages
}

func ids(messages []received) string {
	var all []string
	for _, m := range messages {
		all = append(all, *m.MessageID)
	}
	return strings.Join(all, " ")
}

// item runs the test of a statement of the checklist, on a server of its own.
func item(t *testing.T, number int, name string, f func(t *testing.T, s *server)) {
	t.Run(fmt.Sprintf("%03d %s", number, name), func(t *testing.T) {
		t.Parallel()
		f(t, start(t, Options{}))
	})
}

func openDir(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// poll sends a request and waits for its result, however long that takes; it is not ok when the socket closes.
func (c *remote) poll(kind, members string) (result, bool) {
	id := c.id()
	if c.conn.Write(context.Background(), websocket.MessageBinary, []byte(request(id, kind, members))) != nil {
		return result{}, false
	}
	for {
		c.mu.Lock()
		all, err, changed := c.mu.results, c.mu.err, c.mu.changed
		c.mu.Unlock()
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].RequestID != nil && *all[i].RequestID == id {
				return all[i], true
			}
		}
		if err != nil {
			return result{}, false
		}
		<-changed
	}
}

func asConsumer(name string) message.ConsumerName { return message.ConsumerName(name) }

// fill appends blocks of one message each to the log of events, without a socket.
func (s *server) fill(payloads ...[]byte) {
	s.t.Helper()
	for _, payload := range payloads {
		var w message.BlockWriter
		if err := w.Add(&message.Message{Payload: payload}); err != nil {
			s.t.Fatal(err)
		}
		op, err := messagelog.NewAppend(message.Log{Type: message.Event}, w.Seal(nil, message.Snappy))
		if err == nil {
			tx := &engine.Transaction{Namespace: message.DefaultNamespace, Operations: []engine.Operation{op}}
			err = s.engine.Propose(s.t.Context(), tx)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// indexes returns those of the log of events.
func (s *server) indexes() (all []message.Index) {
	s.t.Helper()
	log := message.Log{Type: message.Event}
	for last := message.Beginning; ; {
		entries, err := s.logs.Read(message.DefaultNamespace, log, last, messagelog.Limit{Messages: 1000, Bytes: 1 << 20})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		for _, e := range entries {
			for index := e.First; index <= e.Last; index++ {
				all = append(all, index)
			}
			last = e.Last
		}
	}
}
