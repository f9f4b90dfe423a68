package fault

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/textproto"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/flux-go/flux/execution/record"
)

// classValues is what an error of a class at least is, for records that do not say more.
var classValues = map[record.ErrorClass]string{
	record.ClassCanceled:      "context.Canceled",
	record.ClassDeadline:      "context.DeadlineExceeded",
	record.ClassEOF:           "io.EOF",
	record.ClassUnexpectedEOF: "io.ErrUnexpectedEOF",
	record.ClassClosed:        "net.ErrClosed",
}

// classOf returns the class of an error. What ended the call comes before where it was when it ended: a lookup that was
// given up is canceled, not a failure of DNS.
func classOf(err error) (class record.ErrorClass) {
	defer func() {
		if recover() != nil {
			class = record.ClassUnknown
		}
	}()
	for _, find := range []func(error) record.ErrorClass{
		classOfContext, classOfDNS, classOfTLS, classOfErrno, classOfProtocol, classOfEnd, classOfDriver, classOfTimeout,
	} {
		if class := find(err); class != "" {
			return class
		}
	}
	if isStandard(innermost(err)) {
		return record.ClassUnknown
	}
	return record.ClassApp
}

func classOfContext(err error) record.ErrorClass {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return record.ClassCanceled
	case errors.As(err, &dns) && dns.UnwrapErr == nil: // one that says it is a deadline means that of the resolver
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return record.ClassDeadline
	}
	return ""
}

func classOfDNS(err error) record.ErrorClass {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return ""
	case dns.IsNotFound:
		return record.ClassDNSNotFound
	}
	return record.ClassDNSTemporary
}

func classOfTLS(err error) record.ErrorClass {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return record.ClassTLSExpired
	case errors.As(err, &invalid),
		errors.As(err, new(*tls.CertificateVerificationError)),
		errors.As(err, new(x509.UnknownAuthorityError)),
		errors.As(err, new(x509.HostnameError)),
		errors.As(err, new(x509.SystemRootsError)),
		errors.As(err, new(x509.InsecureAlgorithmError)):
		return record.ClassTLSVerify
	case errors.As(err, new(tls.RecordHeaderError)), errors.As(err, new(tls.AlertError)), isHandshake(innermost(err)):
		return record.ClassTLSHandshake
	}
	return ""
}

// isHandshake knows errors of package tls whose types only it can see, by their names and by how they begin.
func isHandshake(err error) bool {
	switch TypeName(err) {
	case "tls.alert", "http.tlsHandshakeTimeoutError":
		return true
	}
	return strings.HasPrefix(textOf(err), "tls: ")
}

func classOfErrno(err error) record.ErrorClass {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return ""
	}
	switch number {
	case syscall.ECONNREFUSED:
		return record.ClassRefused
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		return record.ClassReset
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL:
		return record.ClassUnreachable
	case syscall.ETIMEDOUT:
		return record.ClassDeadline
	}
	return ""
}

func classOfProtocol(err error) record.ErrorClass {
	switch {
	case errors.As(err, new(*http.MaxBytesError)), errors.Is(err, bufio.ErrTooLong), errors.Is(err, http.ErrLineTooLong):
		return record.ClassTooLarge
	case errors.As(err, new(*textproto.Error)), errors.As(err, new(textproto.ProtocolError)):
		return record.ClassProto
	}
	inner := innermost(err)
	if strings.HasPrefix(textOf(inner), "malformed HTTP ") { // net/http has no type for it
		return record.ClassProto
	}
	switch TypeName(inner) {
	case "*http.ProtocolError", "*http.unsupportedTEError",
		"http.http2StreamError", "http.http2ConnectionError", "http.http2GoAwayError":
		return record.ClassProto
	}
	return ""
}

func classOfEnd(err error) record.ErrorClass {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return record.ClassUnexpectedEOF
	case errors.Is(err, io.EOF):
		return record.ClassEOF
	}
	for _, closed := range []error{net.ErrClosed, fs.ErrClosed, io.ErrClosedPipe, http.ErrServerClosed, sql.ErrConnDone, sql.ErrTxDone} {
		if errors.Is(err, closed) {
			return record.ClassClosed
		}
	}
	return ""
}

// sqlStater is how PostgreSQL drivers tell the code of an error of the database.
type sqlStater interface{ SQLState() string }

func classOfDriver(err error) record.ErrorClass {
	if errors.Is(err, driver.ErrBadConn) || errors.As(err, new(sqlStater)) {
		return record.ClassDriver
	}
	return ""
}

func classOfTimeout(err error) record.ErrorClass {
	if timeout, _ := timeoutOf(err); timeout {
		return record.ClassDeadline
	}
	return ""
}

// codeOf returns the code that an error carries: SQLSTATE, number of a system call, or of a text protocol.
func codeOf(err error) (code string) {
	defer func() {
		if recover() != nil {
			code = ""
		}
	}()
	var state sqlStater
	var number syscall.Errno
	var text *textproto.Error
	switch {
	case errors.As(err, &state):
		return state.SQLState()
	case errors.As(err, &number):
		return errnoName(number)
	case errors.As(err, &text):
		return strconv.Itoa(text.Code)
	}
	return ""
}

// innermost follows the first error that each wraps.
func innermost(err error) error {
	for range maxParts {
		wrapped, _ := wrappedBy(err)
		if len(wrapped) == 0 || wrapped[0] == nil {
			break
		}
		err = wrapped[0]
	}
	return err
}

// isStandard says that the type of an error is one of the standard library that tells something. Package errors and fmt make
// errors for everybody.
func isStandard(err error) bool {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch pkg := t.PkgPath(); pkg {
	case "", "errors", "fmt", "main":
		return false
	default:
		return isStandardPackage(pkg)
	}
}

// isStandardPackage says that a package is of the standard library: the first part of its path has no dot, and it is not a
// package of a program whose module has none either.
func isStandardPackage(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") && !within(pkg, program().module)
}

// within says that a package is the module, or in it.
func within(pkg, module string) bool {
	return module != "" && strings.HasPrefix(pkg, module) && (len(pkg) == len(module) || pkg[len(module)] == '/')
}

// A mainModule is what the program was built from.
type mainModule struct {
	module string // path of the main module; empty where the program does not know
	main   string // path of package main
}

var program = sync.OnceValue(func() mainModule {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return mainModule{}
	}
	return mainModule{module: info.Main.Path, main: strings.TrimSuffix(info.Path, ".test")}
})
