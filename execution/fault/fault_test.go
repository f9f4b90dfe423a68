package fault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// throughJSON takes an error apart, writes it down, reads it and builds it again.
func throughJSON(t *testing.T, err error, own ...fault.Kind) (*record.Error, error) {
	t.Helper()
	taken := fault.Of(err, own...)
	read := *taken
	text, jsonErr := json.Marshal(taken)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	read = record.Error{Detail: taken.Detail} // data of payloads is not part of their own JSON
	if jsonErr := json.Unmarshal(text, &read); jsonErr != nil {
		t.Fatal(jsonErr)
	}
	read.Detail.Data = taken.Detail.Data
	if len(read.Detail.Data) > 0 && !json.Valid(read.Detail.Data) {
		t.Errorf("detail is not JSON: %s", read.Detail.Data)
	}
	return taken, fault.Rebuild(&read, own...)
}

// values are errors that code compares with.
var values = []error{
	context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid, os.ErrDeadlineExceeded, errors.ErrUnsupported,
	sql.ErrNoRows, sql.ErrTxDone, sql.ErrConnDone, driver.ErrBadConn, http.ErrServerClosed, http.ErrHandlerTimeout,
	http.ErrNoCookie, http.ErrNotSupported, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOENT,
	syscall.ETIMEDOUT, syscall.EHOSTUNREACH, strconv.ErrSyntax, strconv.ErrRange, errors.New("another"),
}

// as returns what errors.As finds of each type that code asks for, and what the methods of it answer.
func as(err error) map[string]any {
	found := map[string]any{}
	look[*url.Error](err, found, func(e *url.Error) any { return []any{e.Op, e.URL, e.Timeout(), e.Temporary(), e.Err.Error()} })
	look[*net.OpError](err, found, func(e *net.OpError) any {
		return []any{e.Op, e.Net, address(e.Source), address(e.Addr), e.Timeout(), e.Temporary(), e.Err.Error()}
	})
	look[*net.DNSError](err, found, func(e *net.DNSError) any {
		return []any{e.Err, e.Name, e.Server, e.IsTimeout, e.IsTemporary, e.IsNotFound}
	})
	look[*os.SyscallError](err, found, func(e *os.SyscallError) any { return e.Syscall })
	look[*fs.PathError](err, found, func(e *fs.PathError) any { return []any{e.Op, e.Path} })
	look[*strconv.NumError](err, found, func(e *strconv.NumError) any { return []any{e.Func, e.Num} })
	look[*http.MaxBytesError](err, found, func(e *http.MaxBytesError) any { return e.Limit })
	look[*textproto.Error](err, found, func(e *textproto.Error) any { return *e })
	look[*time.ParseError](err, found, func(e *time.ParseError) any { return *e })
	look[*json.SyntaxError](err, found, func(e *json.SyntaxError) any { return e.Offset })
	look[syscall.Errno](err, found, func(e syscall.Errno) any { return e })
	look[x509.UnknownAuthorityError](err, found, func(e x509.UnknownAuthorityError) any { return e.Cert.Raw })
	look[x509.CertificateInvalidError](err, found, func(e x509.CertificateInvalidError) any {
		return []any{e.Cert.Raw, e.Reason, e.Detail}
	})
	look[x509.HostnameError](err, found, func(e x509.HostnameError) any { return []any{e.Certificate.Raw, e.Host} })
	look[*tls.CertificateVerificationError](err, found, func(e *tls.CertificateVerificationError) any {
		return e.UnverifiedCertificates[0].Subject.String()
	})
	look[tls.RecordHeaderError](err, found, func(e tls.RecordHeaderError) any { return []any{e.Msg, e.RecordHeader} })
	look[net.Error](err, found, func(e net.Error) any { return e.Timeout() })
	look[interface{ Timeout() bool }](err, found, func(e interface{ Timeout() bool }) any { return e.Timeout() })
	look[interface{ Temporary() bool }](err, found, func(e interface{ Temporary() bool }) any { return e.Temporary() })
	return found
}

// address tells type and value; IP addresses of version 4 have two forms in memory.
func address(addr net.Addr) string { return fmt.Sprintf("%T %v", addr, addr) }

func look[E any](err error, found map[string]any, tell func(E) any) {
	var own E
	if errors.As(err, &own) {
		found[reflect.TypeFor[E]().String()] = tell(own)
	}
}

// same fails the test where code could tell the two errors apart.
func same(t *testing.T, live, rebuilt error) {
	t.Helper()
	if rebuilt == nil || live.Error() != rebuilt.Error() {
		t.Errorf("text %q, want %q", rebuilt, live)
	}
	if got, want := fault.TypeName(rebuilt), fault.TypeName(live); got != want {
		t.Errorf("type %s, want %s", got, want)
	}
	for _, value := range values {
		if got, want := errors.Is(rebuilt, value), errors.Is(live, value); got != want {
			t.Errorf("errors.Is(%v) is %v, live it was %v", value, got, want)
		}
	}
	if got, want := as(rebuilt), as(live); !reflect.DeepEqual(got, want) {
		t.Errorf("errors.As finds\n%v, live it was\n%v", got, want)
	}
	if got, want := os.IsTimeout(rebuilt), os.IsTimeout(live); got != want {
		t.Errorf("os.IsTimeout is %v, live it was %v", got, want)
	}
}

// orderError is an error type of an application.
type orderError struct{ id int }

func (e *orderError) Error() string { return fmt.Sprintf("order %d is closed", e.id) }

// busyError has all that an error of a library can have.
type busyError struct{ cause []error }

func (e busyError) Error() string      { return "busy" }
func (e busyError) Timeout() bool      { return true }
func (e busyError) Temporary() bool    { return true }
func (e busyError) Unwrap() []error    { return e.cause }
func (e busyError) Is(err error) bool  { return err == os.ErrDeadlineExceeded }
func (e busyError) SQLState() string   { return "55P03" }
func (e busyError) StackTrace() string { return "not program counters" }

// slowError has an answer, and wraps one error or none.
type slowError struct{ error }

func (e slowError) Timeout() bool { return false }
func (e slowError) Unwrap() error { return e.error }

type retryError struct{ slow []error }

func (e retryError) Error() string   { return "again" }
func (e retryError) Temporary() bool { return true }
func (e retryError) Unwrap() []error { return e.slow }

func TestErrorsKeepTheirIdentity(t *testing.T) {
	t.Parallel()
	_, numberErr := strconv.Atoi("12x")
	_, fileErr := os.ReadFile(t.TempDir() + "/none")
	_, timeErr := time.Parse(time.RFC3339, "today")
	syntaxErr := json.Unmarshal([]byte(`{"a":}`), new(any))
	tests := []struct {
		name  string
		err   error
		class record.ErrorClass
		code  string
	}{
		{"application", &orderError{7}, record.ClassApp, ""},
		{"wrapped application", fmt.Errorf("load: %w", &orderError{7}), record.ClassApp, ""},
		{"new", errors.New("no such order"), record.ClassApp, ""},
		{"empty text", errors.New(""), record.ClassApp, ""},
		{"canceled", fmt.Errorf("load: %w", context.Canceled), record.ClassCanceled, ""},
		{"deadline", fmt.Errorf("load: %w", context.DeadlineExceeded), record.ClassDeadline, ""},
		{"end", io.EOF, record.ClassEOF, ""},
		{"unexpected end", io.ErrUnexpectedEOF, record.ClassUnexpectedEOF, ""},
		{"no rows", fmt.Errorf("find: %w", sql.ErrNoRows), record.ClassApp, ""},
		{"transaction done", sql.ErrTxDone, record.ClassClosed, ""},
		{"bad connection", driver.ErrBadConn, record.ClassDriver, ""},
		{"closed", &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}, record.ClassClosed, ""},
		{"file", fileErr, record.ClassUnknown, "ENOENT"},
		{"number", numberErr, record.ClassApp, ""},
		{"time", timeErr, record.ClassUnknown, ""},
		{"syntax", syntaxErr, record.ClassUnknown, ""},
		{"too large", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 10}), record.ClassTooLarge, ""},
		{"text protocol", &textproto.Error{Code: 554, Msg: "no"}, record.ClassProto, "554"},
		{"joined", errors.Join(io.EOF, &orderError{7}, context.Canceled), record.ClassCanceled, ""},
		{"joined one", errors.Join(&orderError{7}), record.ClassApp, ""},
		{"two verbs", fmt.Errorf("%w and %w", io.EOF, fs.ErrExist), record.ClassEOF, ""},
		{"nested joins", errors.Join(errors.Join(io.EOF, fs.ErrExist), fmt.Errorf("x: %w", syscall.EPIPE)), record.ClassReset, "EPIPE"},
		{"library", busyError{[]error{io.EOF, &orderError{1}}}, record.ClassEOF, "55P03"},
		{"library alone", busyError{}, record.ClassDriver, "55P03"},
		{"one answer", slowError{errors.New("slow")}, record.ClassApp, ""},
		{"one answer wrapping", fmt.Errorf("x: %w", slowError{io.EOF}), record.ClassEOF, ""},
		{"other answer", retryError{[]error{errors.New("slow")}}, record.ClassApp, ""},
		{"unreachable", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 80}, Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, record.ClassUnreachable, "EHOSTUNREACH"},
		{"unix", &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "/run/x", Net: "unix"}, Err: syscall.ECONNREFUSED}, record.ClassRefused, "ECONNREFUSED"},
		{"address", &net.OpError{Op: "dial", Net: "tcp", Err: &net.AddrError{Err: "missing port in address", Addr: "x"}}, record.ClassUnknown, ""},
		{"dns temporary", &net.DNSError{Err: "server misbehaving", Name: "x.test", Server: "192.0.2.1:53", IsTemporary: true}, record.ClassDNSTemporary, ""},
		{"dns given up", &net.DNSError{UnwrapErr: context.Canceled, Err: "operation was canceled", Name: "x.test"}, record.ClassCanceled, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			taken, rebuilt := throughJSON(t, test.err)
			if taken.Class != test.class || taken.Code != test.code {
				t.Errorf("class %q and code %q, want %q and %q", taken.Class, taken.Code, test.class, test.code)
			}
			same(t, test.err, rebuilt)
			if again := fault.Of(rebuilt); again.Message != taken.Message || !reflect.DeepEqual(again.Chain, taken.Chain) {
				t.Errorf("taken apart again it is\n%+v, first it was\n%+v", again, taken)
			}
		})
	}
}

func TestNilStaysNil(t *testing.T) {
	t.Parallel()
	if fault.Of(nil) != nil || fault.Rebuild(nil) != nil {
		t.Error("nil is an error")
	}
}
