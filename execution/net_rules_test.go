package execution_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// converse writes each text and reads a line after each.
func converse(texts ...string) func(net.Conn) (any, error) {
	return func(conn net.Conn) (any, error) {
		in := bufio.NewReader(conn)
		var got []string
		for _, text := range texts {
			if _, err := fmt.Fprint(conn, text); err != nil {
				return got, err
			}
			line, err := in.ReadString('\n')
			if err != nil {
				return got, err
			}
			got = append(got, line)
		}
		return got, nil
	}
}

// echo answers each line with itself.
func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func TestAReplayStopsWhereADialogueIsAnother(t *testing.T) {
	t.Parallel()
	p := listen(t, echo)
	of, _, _ := recordTalk(t, nil, p.address, with(converse("one\n", "two\n")))
	p.stop()
	for name, program := range map[string]func(net.Conn) (any, error){
		"another request": converse("one\n", "three\n"),
		"one more":        converse("one\n", "two\n", "two\n"),
		"reads on": func(conn net.Conn) (any, error) {
			saw, _ := converse("one\n", "two\n")(conn)
			_, err := conn.Read(make([]byte, 1))
			return saw, err
		},
		"told at the end": func(conn net.Conn) (any, error) {
			saw, _ := converse("one\n", "two\n")(conn)
			fmt.Fprint(conn, "quit\n")
			return saw, conn.Close()
		},
	} {
		report, _, err := replayTalk(t, noDialer{t}, of, p.address, with(program))
		if report.Outcome != execution.OutcomeStopped || !errors.Is(err, execution.ErrStopped) {
			t.Errorf("%s: %v, %v", name, report.Outcome, err)
		}
	}
	report, _, err := replayTalk(t, noDialer{t}, of, p.address, with(converse("one\n")))
	if report.Outcome != execution.OutcomeDiverged || err != nil {
		t.Errorf("one less: %v, %v", report.Outcome, err)
	}
}

// Turns are matched by what they ask, not by the connection they are on.
func TestAReplayMayUseOtherConnections(t *testing.T) {
	t.Parallel()
	p := listen(t, echo)
	of, _, _ := recordTalk(t, nil, p.address, with(converse("one\n", "two\n")))
	p.stop()
	report, _, err := replayTalk(t, noDialer{t}, of, p.address, func(ctx context.Context, d *execution.Dialer, address string) (any, error) {
		if _, err := with(converse("one\n"))(ctx, d, address); err != nil {
			return nil, err
		}
		return with(converse("two\n"))(ctx, d, address)
	})
	if err != nil || report.Outcome != execution.OutcomeSame {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestSecretsOfADialogueAreHidden(t *testing.T) {
	t.Parallel()
	p := listen(t, echo)
	program := with(converse(`{"password":"correct horse battery"}` + "\n"))
	of, _, _ := recordTalk(t, nil, p.address, program)
	p.stop()
	for _, cp := range of.Checkpoints {
		if text := string(cp.Request.Data) + string(cp.Response.Data); strings.Contains(text, "battery") {
			t.Errorf("%s", text)
		}
	}
	if report, _, err := replayTalk(t, noDialer{t}, of, p.address, program); report.Outcome != execution.OutcomeSame {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestALongDialogueIsShortenedAndSaysSo(t *testing.T) {
	t.Parallel()
	p := listen(t, echo)
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, Limits: execution.Limits{BodyBytes: 10}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	saw, err := with(converse("a line that is too long\n"))(ctx, rec.Dialer(nil), p.address)
	x.End(err)
	of := <-kept
	if fmt.Sprint(saw) != "[a line that is too long\n]" || of.Replayable.Level != record.ReplayPartial || !strings.Contains(string(of.Checkpoints[1].Response.Data), `"bytes":24`) {
		t.Errorf("saw %q; recorded %+v, %s", saw, of.Replayable, of.Checkpoints[1].Response.Data)
	}
	_, _, err = replayTalk(t, noDialer{t}, of, p.address, with(func(conn net.Conn) (any, error) { return conn.Read(make([]byte, 1)) }))
	if !errors.Is(err, execution.ErrStopped) {
		t.Errorf("replayed: %v", err)
	}
}

func TestWhatIsEncryptedAboveTheRecordingSaysSo(t *testing.T) {
	t.Parallel()
	l, _ := listenTLS(t)
	p := serve(t, l, lines)
	of, _, err := recordTalk(t, nil, p.address, with(func(conn net.Conn) (any, error) {
		return nil, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake()
	}))
	if err != nil || of.Replayable.Level != record.ReplayPartial || !strings.Contains(fmt.Sprint(of.Replayable.Reasons), "encrypted above its recording") {
		t.Errorf("%v, %+v", err, of.Replayable)
	}
}

// A connection that outlives its execution goes on, and the executions that use it say that something is missing.
func TestAConnectionThatOutlivesItsExecutionGoesOn(t *testing.T) {
	t.Parallel()
	p := listen(t, echo)
	rec, kept := recorder(t)
	ctx, first := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	conn, err := rec.Dialer(nil).DialContext(ctx, "tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first.End(nil)
	<-kept
	_, second := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	saw, err := converse("on\n")(conn)
	second.End(err)
	if of := <-kept; fmt.Sprint(saw) != "[on\n]" || of.Replayable.Level != record.ReplayPartial || len(of.Checkpoints) != 0 {
		t.Errorf("saw %q, %v; recorded %+v", saw, err, of)
	}
	plain, err := (*execution.Recorder)(nil).Dialer(nil).Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, ok := plain.(*net.TCPConn); !ok {
		t.Errorf("without a recorder it is a %T", plain)
	}
}
