package execution_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A peer listens on an address of this machine, and is gone when the test wants it.
type peer struct {
	address string
	stop    func()
}

// listen starts a peer that talks to each connection.
func listen(t *testing.T, talk func(net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, l, talk)
}

func serve(t *testing.T, l net.Listener, talk func(net.Conn)) *peer {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	stop := sync.OnceFunc(func() {
		_ = l.Close()
		all.Wait()
	})
	t.Cleanup(stop)
	return &peer{l.Addr().String(), stop}
}

// A talk is a program that uses a connection, and what it saw of it.
type talk func(ctx context.Context, d *execution.Dialer, address string) (any, error)

// recordTalk records a program.
func recordTalk(t *testing.T, base execution.ContextDialer, address string, program talk) (*record.Execution, any, error) {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	saw, err := program(ctx, rec.Dialer(base), address)
	x.End(err)
	return <-kept, saw, err
}

// noDialer is the network of a replay.
type noDialer struct{ t *testing.T }

func (d noDialer) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	d.t.Errorf("a replay dialled %s %s", network, address)
	return nil, errors.New("trapped")
}

// replayTalk replays a program from a record that went through a file.
func replayTalk(t *testing.T, base execution.ContextDialer, of *record.Execution, address string, program talk) (*execution.Report, any, error) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), throughFile(t, of), nil)
	if err != nil {
		t.Fatal(err)
	}
	saw, err := program(ctx, rec.Dialer(base), address)
	x.End(err)
	return x.Report(), saw, err
}

// with opens a connection, and closes it at the end.
func with(program func(conn net.Conn) (any, error)) talk {
	return func(ctx context.Context, d *execution.Dialer, address string) (any, error) {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return program(conn)
	}
}

// lines answers each line with what is in capitals, in two pieces, and says hello first; "bye" ends it.
func lines(conn net.Conn) {
	fmt.Fprint(conn, "220 hello\r\n")
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "bye"; {
		fmt.Fprintf(conn, "%s", strings.ToUpper(in.Text()))
		fmt.Fprint(conn, "!\n")
	}
}

// pieces reads until an error, and returns each piece and the error.
func pieces(conn net.Conn) (all []string, err error) {
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			all = append(all, string(buffer[:n]))
		}
		if err != nil {
			return all, err
		}
	}
}

// A dialogue of a program with a peer.
var dialogues = map[string]struct {
	peer    func(net.Conn)
	program func(net.Conn) (any, error)
	is      error // with which the program fails
}{
	"greeting and lines": {lines, func(conn net.Conn) (any, error) {
		in := bufio.NewReader(conn)
		hello, _ := in.ReadString('\n')
		fmt.Fprint(conn, "first ")
		fmt.Fprint(conn, "line\n")
		one, _ := in.ReadString('\n')
		fmt.Fprint(conn, "two\n")
		two, err := in.ReadString('\n')
		fmt.Fprint(conn, "bye\n")
		_, end := in.ReadString('\n')
		return []any{hello, one, two, end, conn.RemoteAddr().String(), conn.LocalAddr().String()}, err
	}, nil},
	"exactly n bytes (G-120)": {func(conn net.Conn) {
		_, _ = conn.Write(bytes.Repeat([]byte{0xff, 0, 'x', '\n'}, 25))
		_, _ = io.Copy(io.Discard, conn)
	}, func(conn net.Conn) (any, error) {
		var got [][]byte
		for _, n := range []int{1, 7, 42} {
			data := make([]byte, n)
			if _, err := io.ReadFull(conn, data); err != nil {
				return nil, err
			}
			got = append(got, data)
		}
		return got, nil
	}, nil},
	"until the end, half closed": {func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "%d bytes", len(all))
	}, func(conn net.Conn) (any, error) {
		fmt.Fprint(conn, strings.Repeat("x", 100_000))
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			return nil, err
		}
		answer, err := io.ReadAll(conn)
		n, end := conn.Read(make([]byte, 1))
		return []any{string(answer), n, end}, err
	}, nil},
	"reset": {func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	}, func(conn net.Conn) (any, error) {
		fmt.Fprint(conn, "x")
		return pieces(conn)
	}, syscall.ECONNRESET},
	"cut": {func(conn net.Conn) { fmt.Fprint(conn, "abc") }, func(conn net.Conn) (any, error) {
		_, err := io.ReadFull(conn, make([]byte, 5))
		return nil, err
	}, io.ErrUnexpectedEOF},
	"time runs out, and then it comes": {func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 2)) // the second byte comes when the time of the first has run out
		fmt.Fprint(conn, "late")
		_, _ = conn.Read(make([]byte, 1))
	}, func(conn net.Conn) (any, error) {
		fmt.Fprint(conn, "1")
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, early := conn.Read(make([]byte, 10))
		_ = conn.SetReadDeadline(time.Time{})
		fmt.Fprint(conn, "2")
		late := make([]byte, 4)
		_, _ = io.ReadFull(conn, late)
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := conn.Read(make([]byte, 10))
		return []any{errors.Is(early, os.ErrDeadlineExceeded), early.Error(), string(late)}, err
	}, os.ErrDeadlineExceeded},
	"writing fails": {func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.(*net.TCPConn).SetLinger(0)
	}, func(conn net.Conn) (any, error) {
		fmt.Fprint(conn, "x")
		_, end := conn.Read(make([]byte, 1))
		_, err := conn.Write([]byte("to nobody"))
		return errors.Is(end, syscall.ECONNRESET), err
	}, syscall.EPIPE},
	"nothing is said": {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, func(net.Conn) (any, error) { return nil, nil }, nil},
	"only told": {func(conn net.Conn) { _, _ = io.ReadAll(conn) }, func(conn net.Conn) (any, error) {
		return fmt.Fprint(conn, "metric:1|c\n")
	}, nil},
}

func TestDialoguesReplayWithThePeerGone(t *testing.T) {
	t.Parallel()
	for name, d := range dialogues {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := listen(t, d.peer)
			of, saw, err := recordTalk(t, nil, p.address, with(d.program))
			if !errors.Is(err, d.is) || (err == nil) != (d.is == nil) {
				t.Fatalf("the program ended with %v, not with %v", err, d.is)
			}
			p.stop()
			report, again, failed := replayTalk(t, noDialer{t}, of, p.address, with(d.program))
			if report.Outcome != execution.OutcomeSame {
				t.Errorf("%+v", report)
			}
			if !reflect.DeepEqual(again, saw) {
				t.Errorf("the replay saw\n%q, not\n%q", again, saw)
			}
			if !errors.Is(failed, d.is) || fmt.Sprint(failed) != fmt.Sprint(err) {
				t.Errorf("the replay ended with %v, not with %v", failed, err)
			}
		})
	}
}

func TestTurnsAreOperations(t *testing.T) {
	t.Parallel()
	p := listen(t, lines)
	of, _, _ := recordTalk(t, nil, p.address, with(dialogues["greeting and lines"].program))
	var got []string
	for _, cp := range of.Checkpoints {
		got = append(got, fmt.Sprintf("%s %s %s %s", cp.Shape, cp.Effect, cp.State, cp.Request.Data))
	}
	want := []string{
		`CONNECT none done {"address":"` + p.address + `","network":"tcp"}`,
		`RECEIVE read done {"connection":1}`,
		`EXCHANGE unknown done {"connection":1,"written":"first "}`,
		`EXCHANGE unknown done {"connection":1,"written":"line\n"}`,
		`EXCHANGE unknown done {"connection":1,"written":"two\n"}`,
		`EXCHANGE unknown in-doubt {"connection":1,"written":"bye\n"}`, // the peer went without an answer
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("recorded\n%s", strings.Join(got, "\n"))
	}
	if last := string(of.Checkpoints[5].Response.Data); last != `{"eof":true}` || of.Checkpoints[2].Target != "tcp://"+p.address {
		t.Errorf("the last response is %s", last)
	}
}

func TestARefusedConnectionReplaysAsItself(t *testing.T) {
	t.Parallel()
	p := listen(t, lines)
	p.stop()
	program := with(func(net.Conn) (any, error) { return nil, nil })
	of, _, err := recordTalk(t, nil, p.address, program)
	report, _, again := replayTalk(t, noDialer{t}, of, p.address, program)
	if !errors.Is(again, syscall.ECONNREFUSED) || again.Error() != err.Error() || report.Outcome != execution.OutcomeSame {
		t.Errorf("live %v, replayed %v, %v", err, again, report.Outcome)
	}
}

func TestDialoguesOverTLSAreRecordedInClear(t *testing.T) {
	t.Parallel()
	l, authority := listenTLS(t)
	p := serve(t, l, lines)
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	program := func(ctx context.Context, d *execution.Dialer, address string) (any, error) {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		saw, err := dialogues["greeting and lines"].program(conn)
		state := conn.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState()
		return []any{saw, state.Version, state.PeerCertificates[0].Equal(authority)}, err
	}
	of, saw, err := recordTalk(t, &tls.Dialer{Config: &tls.Config{RootCAs: roots}}, p.address, program)
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	report, again, _ := replayTalk(t, new(tls.Dialer), of, p.address, program) // it would not know the authority
	if !reflect.DeepEqual(again, saw) || report.Outcome != execution.OutcomeSame {
		t.Errorf("the replay saw\n%q, not\n%q", again, saw)
	}
	if !strings.Contains(string(of.Checkpoints[2].Request.Data), "first ") || of.Checkpoints[2].Target != "tls://"+p.address {
		t.Errorf("recorded %+v", of.Checkpoints[2])
	}
}

func TestAnUnknownAuthorityReplaysAsItself(t *testing.T) {
	t.Parallel()
	l, _ := listenTLS(t)
	p := serve(t, l, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	stranger := with(func(net.Conn) (any, error) { return nil, nil })
	of, _, err := recordTalk(t, &tls.Dialer{Config: &tls.Config{RootCAs: x509.NewCertPool()}}, p.address, stranger)
	_, _, failed := replayTalk(t, new(tls.Dialer), of, p.address, stranger)
	if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) || !errors.As(failed, unknown) {
		t.Errorf("live %v, replayed %v", err, failed)
	}
}

// listenTLS listens over TLS, with a certificate of an authority of its own.
func listenTLS(t *testing.T) (net.Listener, *x509.Certificate) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil) // it has a certificate
	server.StartTLS()
	defer server.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: server.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	return l, server.Certificate()
}
