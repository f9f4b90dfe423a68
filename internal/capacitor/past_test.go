package capacitor

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/message"
)

// life starts a server on a directory, on a clock that the test sets.
func life(t *testing.T, dir string, clock *atomic.Int64) *server {
	t.Helper()
	return startOn(t, openDir(t, dir), Options{Clock: func() time.Time { return time.UnixMilli(clock.Load()) }})
}

func event(id, members string) string {
	return `"messages":[` + textOf(id, members) + `],"guarantee":"STORED"`
}

func eventOf(aggregate, id string, storeOnly bool) string {
	return fmt.Sprintf(`"eventBatches":[{"aggregateId":%q,"events":[%s],"storeOnly":%v}],"guarantee":"STORED"`, aggregate, textOf(id, ""), storeOnly)
}

// A command that was stored, and whose result was lost with the server, takes effect once.
func TestCommandsOfThePastTakeEffectOnce(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(noon.UnixMilli())
	dir := t.TempDir()
	s := life(t, dir, &clock)
	events, aggregates := s.dial("tracking/publishevent", dialing{}), s.dial("eventSourcing", dialing{})
	events.ask("append", `"messages":[`+textOf("m1", "")+`,`+textOf("m2", `"segment":3`)+`],"guarantee":"STORED"`).expect(t, "void")
	aggregates.ask("appendEvents", eventOf("a", "e1", false)).expect(t, "void")
	aggregates.ask("appendEvents", eventOf("a", "e2", true)).expect(t, "void")
	s.stop()

	clock.Add(3 * time.Hour.Milliseconds()) // clients try for ever
	s = life(t, dir, &clock)
	events, aggregates = s.dial("tracking/publishevent", dialing{}), s.dial("eventSourcing", dialing{})
	for _, again := range []string{
		event("m2", `"segment":3`), `"messages":[` + textOf("m1", "") + `,` + textOf("m2", `"segment":3`) + `],"guarantee":"STORED"`,
	} {
		id := events.send("append", again)
		events.wait(id).expect(t, "void")
		events.write(request(id, "append", again)) // and again, in this life
	}
	aggregates.ask("appendEvents", eventOf("a", "e1", false)).expect(t, "void")
	if got := ids(s.log("tracking/readevent", dialing{})); got != "m1 m2 e1" {
		t.Errorf("the log has %s", got)
	}
	aggregates.ask("appendEvents", eventOf("a", "e2", true)).expect(t, "void") // in no log, so nobody knows
	page := aggregates.ask("getEvents", `"aggregateId":"a","lastSequenceNumber":-1,"batchSize":100`).expect(t, "getEventsResult")
	if got := ids(page.EventBatch.Events); got != "e1 e2 e2" {
		t.Errorf("the stream has %s", got)
	}
}

// What is new is not taken for something that came before, however alike they are.
func TestNewCommandsAreNotOfThePast(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(noon.UnixMilli())
	dir := t.TempDir()
	s := life(t, dir, &clock)
	chunk := strings.Replace(textOf("chunk", ""), `"metadata":{}`, `"metadata":{"$finalChunk":"false"}`, 1)
	s.dial("tracking/publishevent", dialing{}).appendAll(textOf("m1", ""), chunk)
	s.dial("tracking/publishevent", dialing{project: "p"}).appendAll(textOf("m2", ""))
	s.stop()

	s = life(t, dir, &clock)
	c := s.dial("tracking/publishevent", dialing{})
	for _, one := range []string{
		strings.Replace(textOf("m1", ""), `e30=`, `e319`, 1),
		strings.Replace(textOf("m1", ""), `"metadata":{}`, `"metadata":{"a":"b"}`, 1),
		textOf("m1", `"target":"t"`), textOf("m2", ""), chunk, textOf("", ""), textOf("m1", "") + "," + textOf("m3", ""),
	} {
		c.appendAll(one)
	}
	if n := len(s.log("tracking/readevent", dialing{})); n != 2+8 {
		t.Errorf("%d messages", n)
	}
	clock.Add(resendTime.Milliseconds() + 1)
	c.appendAll(textOf("m1", "")) // nobody sends again so late
	if n := len(s.log("tracking/readevent", dialing{})); n != 2+9 {
		t.Errorf("%d messages", n)
	}
}

// However many messages there are, the last ones are known, and not many more.
func TestThePastIsBounded(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(noon.UnixMilli())
	dir := t.TempDir()
	s := life(t, dir, &clock)
	c := s.dial("tracking/publishevent", dialing{})
	const perStep = 3 * maxHistory / 4
	for step := range 4 {
		var all []string
		for i := range perStep {
			all = append(all, textOf(fmt.Sprintf("%d-%d", step, i), ""))
		}
		c.appendAll(all...)
		clock.Add(maxTailMilli / 2)
	}
	s.stop()

	s = life(t, dir, &clock)
	c = s.dial("tracking/publishevent", dialing{})
	c.appendAll(textOf(fmt.Sprintf("3-%d", perStep-1), ""))
	c.appendAll(textOf("0-0", ""))
	head, err := s.logs.Head(message.DefaultNamespace, message.Log{Type: message.Event})
	if err != nil || head.Messages != 4*perStep+1 {
		t.Errorf("%d messages, %v", head.Messages, err)
	}
	at := place{message.DefaultNamespace, message.Log{Type: message.Event}}
	if n := len(s.handler.past.tail(at).prints); n < perStep || n > 2*perStep {
		t.Errorf("%d messages are known", n)
	}
	s.handler.past.forget()
	c.appendAll(textOf("3-0", ""))
	if head, err = s.logs.Head(at.namespace, at.log); err != nil || head.Messages != 4*perStep+2 {
		t.Errorf("%d messages, %v", head.Messages, err)
	}
}
