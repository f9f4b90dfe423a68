package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/flux-go/flux"
	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/conformance/process"
	"github.com/flux-go/flux/message"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(copierURL); url != "" {
		log.Fatal(runCopier(url))
	}
	process.Main(m)
}

// Numbered is a message that can be told from all others.
type Numbered struct {
	Publisher int `json:"publisher" flux:"routing"`
	N         int `json:"n"`
}

var (
	eventLog = message.Log{Type: message.Event}
	copyLog  = message.Log{Type: message.Custom, Topic: "copy"}
)

const publishers = 2

// TestCrashOfServerUnderLoad kills the server, as kill -9 does, again and again while clients publish and an atomic
// consumer, a process that is killed too, copies what they publish to a topic. In the end nothing that was acknowledged is
// missing, nothing was stored twice although the clients send again what was not acknowledged, and the copy has each message
// once and in order.
func TestCrashOfServerUnderLoad(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	k := startKilling(t)
	for round := range rounds {
		k.awaitProgress(t, round)
		k.server.Kill()
		if round%2 == 1 {
			k.copier.kill()
		}
		k.start(t)
		if round%2 == 1 {
			k.copier = k.startCopier(t)
		}
	}
	k.quiesce(t)

	events, copies := k.read(t, eventLog), k.read(t, copyLog)
	for publisher := range publishers {
		acknowledged := int(k.acknowledged[publisher].Load())
		checkOnceInOrder(t, "events", events[publisher], acknowledged)
		checkOnceInOrder(t, "copies", copies[publisher], len(events[publisher]))
		t.Logf("publisher %d: %d events acknowledged, %d stored, %d copied",
			publisher, acknowledged, len(events[publisher]), len(copies[publisher]))
	}
	k.checkStore(t)
}

// checkOnceInOrder wants numbers to be 1, 2, 3, …, at least so many.
func checkOnceInOrder(t *testing.T, what string, numbers []int, atLeast int) {
	t.Helper()
	if len(numbers) < atLeast {
		t.Errorf("%s: %d, want at least %d", what, len(numbers), atLeast)
	}
	for i, n := range numbers {
		if n != i+1 {
			t.Fatalf("%s: number %d comes at place %d", what, n, i+1)
		}
	}
}

// killing is a server that is killed, with its clients.
type killing struct {
	dir, address string
	server       *process.Server
	copier       *copier
	logs         fluxv1connect.LogServiceClient

	acknowledged [publishers]atomic.Int64 // the highest number; publishers go up one by one
	handled      atomic.Int64             // calls of the handler that copies
	progressed   chan struct{}            // holds a signal when any of the two went up
	stopPublish  context.CancelFunc
	publishing   sync.WaitGroup
}

func startKilling(t *testing.T) *killing {
	t.Helper()
	k := &killing{dir: t.TempDir(), address: freeAddress(t), progressed: make(chan struct{}, 1)}
	k.start(t)
	t.Cleanup(func() { k.server.Kill() })
	k.logs = fluxv1connect.NewLogServiceClient(http.DefaultClient, k.server.URL)
	k.copier = k.startCopier(t)
	t.Cleanup(func() { k.copier.kill() })
	ctx, cancel := context.WithCancel(t.Context())
	k.stopPublish = cancel
	for publisher := range publishers {
		app := k.connect(t, fmt.Sprintf("publisher-%d", publisher))
		k.publishing.Go(func() { k.publish(ctx, t, app, publisher) })
	}
	return k
}

// freeAddress returns an address that nobody listens on, and that nobody is given who asks the system for any free one:
// those are above 32768. So it is still free when the server is started again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(12000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// start starts the server, again.
func (k *killing) start(t *testing.T) {
	t.Helper()
	server, err := process.Start(k.dir, "serve", "--data", "data", "--listen", k.address)
	if err != nil {
		t.Fatal(err)
	}
	k.server = server
}

func (k *killing) connect(t *testing.T, name string) *flux.App {
	t.Helper()
	app, err := flux.Connect(t.Context(), flux.Config{Name: name, URL: k.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Close(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return app
}

// publish publishes numbers until ctx ends, several at once. A number is acknowledged when all up to it are.
func (k *killing) publish(ctx context.Context, t *testing.T, app *flux.App, publisher int) {
	const batch = 10
	for n := 0; ctx.Err() == nil; n += batch {
		events := make([]any, batch)
		for i := range events {
			events[i] = Numbered{publisher, n + i + 1}
		}
		// A publication in hand is finished: whether it was stored would be unknown else.
		if err := flux.Publish(context.WithoutCancel(ctx), app, events...); err != nil {
			t.Errorf("publisher %d, after %d: %v", publisher, n, err)
			return
		}
		k.acknowledged[publisher].Store(int64(n + batch))
		k.signal()
	}
}

func (k *killing) signal() {
	select {
	case k.progressed <- struct{}{}:
	default:
	}
}

// copierURL is the variable that makes a process of this test the copier, and tells it where the server is.
const copierURL = "FLUX_COPIER_URL"

// runCopier copies events to a topic until it is killed. It writes a byte for each message that it is about to copy.
func runCopier(url string) error {
	app, err := flux.Connect(context.Background(), flux.Config{Name: "copier", URL: url})
	if err != nil {
		return err
	}
	flux.HandleEvent(app.Consumer("copy", flux.Consumer{From: flux.Beginning, Atomic: true, MaxBatch: 100}),
		func(ctx context.Context, n Numbered) error {
			if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
				return err
			}
			return flux.PublishTo(ctx, app, copyLog, n, nil)
		})
	return app.Run(context.Background())
}

// copier is a process that copies.
type copier struct {
	command *exec.Cmd
	ended   chan struct{}
}

func (k *killing) startCopier(t *testing.T) *copier {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), copierURL+"="+k.server.URL)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &copier{command, make(chan struct{})}
	go func() {
		defer close(c.ended)
		dots := make([]byte, 1<<10)
		for {
			n, err := stdout.Read(dots)
			k.handled.Add(int64(n))
			k.signal()
			if err != nil {
				_ = command.Wait() // it was killed
				return
			}
		}
	}()
	return c
}

func (c *copier) kill() {
	_ = c.command.Process.Kill() // fails when it is gone, and then nothing is copied any more
	<-c.ended
}

// patience is how long anything may take before the test gives up.
const patience = time.Minute

// awaitProgress waits until random numbers of publications were acknowledged and messages handled, so that kills come at
// random moments, in the middle of both.
func (k *killing) awaitProgress(t *testing.T, round int) {
	t.Helper()
	published, handled := k.total()+rand.Int64N(1000), k.handled.Load()+rand.Int64N(500)
	late := time.After(patience)
	for k.total() <= published || k.handled.Load() <= handled {
		select {
		case <-k.progressed:
		case <-late:
			t.Fatalf("round %d: no progress for %s", round, patience)
		}
	}
}

func (k *killing) total() (n int64) {
	for i := range k.acknowledged {
		n += k.acknowledged[i].Load()
	}
	return n
}

// quiesce ends publishing and waits until everything is copied.
func (k *killing) quiesce(t *testing.T) {
	t.Helper()
	k.stopPublish()
	k.publishing.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		published, copied := k.appended(ctx, t)
		if copied >= published {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d of %d events are copied after %s", copied, published, patience)
		}
	}
}

// appended returns the numbers of messages of the two logs.
func (k *killing) appended(ctx context.Context, t *testing.T) (events, copies uint64) {
	t.Helper()
	answer, err := k.logs.ListLogs(ctx, connect.NewRequest(&fluxv1.ListLogsRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range answer.Msg.GetLogs() {
		switch info.GetLog() {
		case eventLog.String():
			events = info.GetAppendedMessages()
		case copyLog.String():
			copies = info.GetAppendedMessages()
		}
	}
	return events, copies
}

// read returns the numbers in a log, by publisher.
func (k *killing) read(t *testing.T, log message.Log) (numbers [publishers][]int) {
	t.Helper()
	for from := int64(0); ; {
		request := &fluxv1.ReadRequest{
			Log: log.String(), Start: &fluxv1.ReadRequest_MinIndex{MinIndex: from}, MaxSize: 10_000, Raw: true,
		}
		answer, err := k.logs.Read(t.Context(), connect.NewRequest(request))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range answer.Msg.GetMessages() {
			var n Numbered
			if err := json.Unmarshal(m.GetData(), &n); err != nil {
				t.Fatal(err)
			}
			numbers[n.Publisher] = append(numbers[n.Publisher], n.N)
		}
		if answer.Msg.GetCaughtUp() {
			return numbers
		}
		from = answer.Msg.GetNextIndex()
	}
}

// checkStore stops the server and verifies what it leaves.
func (k *killing) checkStore(t *testing.T) {
	t.Helper()
	if log, err := k.server.Stop(); err != nil {
		t.Fatalf("server ended with %v\n%s", err, log)
	}
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "check", filepath.Join(k.dir, "data")).CombinedOutput(); err != nil {
		t.Errorf("flux check: %v\n%s", err, out)
	}
}
