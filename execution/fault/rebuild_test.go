package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// pgError stands for an error type of a library, and errNil for a single error of one.
type pgError struct{ Code, Table string }

func (e *pgError) Error() string { return e.Code + " in " + e.Table }

var errNil = errors.New("redis: nil")

// libraryKinds are as an adapter hands them in.
var libraryKinds = []fault.Kind{
	{Name: "redis.Nil", Value: errNil},
	{
		Name: "pgconn.PgError",
		Of: func(err error) (any, bool) {
			own, ok := err.(*pgError)
			return own, ok
		},
		Rebuild: func(fields []byte, _ []error) error {
			own := new(pgError)
			if json.Unmarshal(fields, own) != nil {
				return nil
			}
			return own
		},
	},
}

func TestKindsOfLibraries(t *testing.T) {
	t.Parallel()
	live := errors.Join(fmt.Errorf("insert: %w", &pgError{"23505", "orders"}), fmt.Errorf("get: %w", errNil))
	_, rebuilt := throughJSON(t, live, libraryKinds...)
	same(t, live, rebuilt)
	var own *pgError
	if !errors.As(rebuilt, &own) || *own != (pgError{"23505", "orders"}) {
		t.Errorf("errors.As finds %+v", own)
	}
	if !errors.Is(rebuilt, errNil) {
		t.Error("it is not redis.Nil any more")
	}
	_, unknown := throughJSON(t, live)
	if errors.As(unknown, &own) && errors.Is(unknown, errNil) || unknown.Error() != live.Error() {
		t.Errorf("without the kinds it is %v", unknown)
	}
}

// TestRecordsWithoutDetail is about records that another program wrote, or that were shortened.
func TestRecordsWithoutDetail(t *testing.T) {
	t.Parallel()
	e := &record.Error{
		Class: record.ClassUnexpectedEOF, Message: "load: cut", Type: "*fmt.wrapError", Timeout: true,
		Chain:  []record.ErrorPart{{Type: "*errors.errorString", Message: "cut"}},
		Detail: record.Payload{Data: []byte(`{"sqlstate":"23505"}`)},
	}
	err := fault.Rebuild(e)
	var timeout net.Error
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%#v is no unexpected end with a timeout", err)
	}
	if err.Error() != "load: cut" || errors.Unwrap(err).Error() != "cut" {
		t.Errorf("texts are %q and %q", err, errors.Unwrap(err))
	}
}

// TestRedactedTexts: what was hidden in a text stays hidden, although the error can still be told by its type.
func TestRedactedTexts(t *testing.T) {
	t.Parallel()
	live := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "secret.test", IsNotFound: true}}
	e := fault.Of(fmt.Errorf("pay: %w", live))
	e.Message, e.Chain[0].Message, e.Chain[1].Message = "pay: dial ***", "dial ***", "lookup ***"
	err := fault.Rebuild(e)
	var op *net.OpError
	var dns *net.DNSError
	if !errors.As(err, &op) || !errors.As(err, &dns) || !dns.IsNotFound || op.Op != "dial" {
		t.Errorf("%#v is no failed lookup any more", err)
	}
	if err.Error() != "pay: dial ***" || errors.Unwrap(err).Error() != "dial ***" {
		t.Errorf("texts are %q and %q", err, errors.Unwrap(err))
	}
}

func TestLargeErrorsAreShortened(t *testing.T) {
	t.Parallel()
	all := make([]error, 500)
	for i := range all {
		all[i] = fmt.Errorf("part %d: %w", i, io.EOF)
	}
	e := fault.Of(errors.Join(all...))
	if len(e.Chain) != 99 || !e.Detail.Truncated {
		t.Errorf("%d parts, shortened %v", len(e.Chain), e.Detail.Truncated)
	}
	if err := fault.Rebuild(e); err.Error() != errors.Join(all...).Error() || !errors.Is(err, io.EOF) {
		t.Errorf("rebuilt as %v", err)
	}
	var deep error = io.EOF
	for range 500 {
		deep = fmt.Errorf("x%w", deep)
	}
	if e := fault.Of(deep); e.Class != record.ClassEOF || len(e.Chain) != 99 || fault.Rebuild(e).Error() != deep.Error() {
		t.Errorf("class %s with %d parts", e.Class, len(e.Chain))
	}
}

// FuzzRebuild builds errors from any detail. It must never panic, not even when the error is used.
func FuzzRebuild(f *testing.F) {
	for _, kind := range []string{
		"io.EOF", "url.Error", "net.OpError", "net.DNSError", "syscall.Errno", "x509.HostnameError", "x509.CertificateInvalidError",
		"x509.UnknownAuthorityError", "tls.CertificateVerificationError", "tls.RecordHeaderError", "fs.PathError", "none",
		"x509.SystemRootsError", "x509.InsecureAlgorithmError", "time.ParseError", "json.SyntaxError",
	} {
		f.Add(`{"errors":[{"kind":"`+kind+`","fields":{"op":"x","reason":3,"host":"h"},"wraps":1,"timeout":true},{"kind":"`+kind+`"}]}`, "text", "unknown")
		f.Add(`{"errors":[{"kind":"`+kind+`","fields":7,"wraps":-5},{"kind":"`+kind+`","wraps":1000000}]}`, "", "eof")
	}
	f.Add(`{"errors":[null,null]}`, "text", "deadline")
	f.Add(``, "text", "canceled")
	f.Fuzz(func(t *testing.T, detail, text, class string) {
		e := &record.Error{
			Class: record.ErrorClass(class), Message: text, Type: "*url.Error",
			Chain: []record.ErrorPart{{Type: "x", Message: text}}, Detail: record.Payload{Data: []byte(detail)},
		}
		err := fault.Rebuild(e)
		if err == nil {
			t.Fatal("no error")
		}
		if err.Error() != text {
			t.Errorf("text %q, want %q", err, text)
		}
		_ = as(err)
		for _, value := range values {
			_ = errors.Is(err, value)
		}
		_ = fault.Of(err)
	})
}
