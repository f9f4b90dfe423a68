package fault

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// standard are the kinds of the standard library. Their names are in records: none may change.
var standard = append(append(kinds{}, singles...), append(append(networkKinds, tlsKinds...), otherKinds...)...)

// singles are errors of which there is only one each.
var singles = kinds{
	{Name: "context.Canceled", Value: context.Canceled},
	{Name: "context.DeadlineExceeded", Value: context.DeadlineExceeded},
	{Name: "io.EOF", Value: io.EOF},
	{Name: "io.ErrUnexpectedEOF", Value: io.ErrUnexpectedEOF},
	{Name: "io.ErrClosedPipe", Value: io.ErrClosedPipe},
	{Name: "io.ErrNoProgress", Value: io.ErrNoProgress},
	{Name: "io.ErrShortBuffer", Value: io.ErrShortBuffer},
	{Name: "io.ErrShortWrite", Value: io.ErrShortWrite},
	{Name: "fs.ErrNotExist", Value: fs.ErrNotExist},
	{Name: "fs.ErrExist", Value: fs.ErrExist},
	{Name: "fs.ErrPermission", Value: fs.ErrPermission},
	{Name: "fs.ErrInvalid", Value: fs.ErrInvalid},
	{Name: "fs.ErrClosed", Value: fs.ErrClosed},
	{Name: "os.ErrDeadlineExceeded", Value: os.ErrDeadlineExceeded},
	{Name: "os.ErrNoDeadline", Value: os.ErrNoDeadline},
	{Name: "os.ErrProcessDone", Value: os.ErrProcessDone},
	{Name: "net.ErrClosed", Value: net.ErrClosed},
	{Name: "net.ErrWriteToConnected", Value: net.ErrWriteToConnected},
	{Name: "errors.ErrUnsupported", Value: errors.ErrUnsupported},
	{Name: "sql.ErrNoRows", Value: sql.ErrNoRows},
	{Name: "sql.ErrTxDone", Value: sql.ErrTxDone},
	{Name: "sql.ErrConnDone", Value: sql.ErrConnDone},
	{Name: "driver.ErrBadConn", Value: driver.ErrBadConn},
	{Name: "driver.ErrSkip", Value: driver.ErrSkip},
	{Name: "driver.ErrRemoveArgument", Value: driver.ErrRemoveArgument},
	{Name: "http.ErrUseLastResponse", Value: http.ErrUseLastResponse},
	{Name: "http.ErrServerClosed", Value: http.ErrServerClosed},
	{Name: "http.ErrHandlerTimeout", Value: http.ErrHandlerTimeout},
	{Name: "http.ErrAbortHandler", Value: http.ErrAbortHandler},
	{Name: "http.ErrBodyReadAfterClose", Value: http.ErrBodyReadAfterClose},
	{Name: "http.ErrBodyNotAllowed", Value: http.ErrBodyNotAllowed},
	{Name: "http.ErrContentLength", Value: http.ErrContentLength},
	{Name: "http.ErrHijacked", Value: http.ErrHijacked},
	{Name: "http.ErrLineTooLong", Value: http.ErrLineTooLong},
	{Name: "http.ErrMissingFile", Value: http.ErrMissingFile},
	{Name: "http.ErrMissingBoundary", Value: http.ErrMissingBoundary},
	{Name: "http.ErrNotMultipart", Value: http.ErrNotMultipart},
	{Name: "http.ErrNotSupported", Value: http.ErrNotSupported},
	{Name: "http.ErrNoCookie", Value: http.ErrNoCookie},
	{Name: "http.ErrNoLocation", Value: http.ErrNoLocation},
	{Name: "http.ErrSchemeMismatch", Value: http.ErrSchemeMismatch},
	{Name: "http.ErrSkipAltProtocol", Value: http.ErrSkipAltProtocol},
	{Name: "bufio.ErrTooLong", Value: bufio.ErrTooLong},
	{Name: "bufio.ErrBufferFull", Value: bufio.ErrBufferFull},
	{Name: "exec.ErrNotFound", Value: exec.ErrNotFound},
	{Name: "exec.ErrDot", Value: exec.ErrDot},
	{Name: "exec.ErrWaitDelay", Value: exec.ErrWaitDelay},
	{Name: "strconv.ErrRange", Value: strconv.ErrRange},
	{Name: "strconv.ErrSyntax", Value: strconv.ErrSyntax},
}

// opFields are the fields of the error types that say which operation failed on what.
type opFields struct {
	Op   string `json:"op,omitempty"`
	What string `json:"what,omitempty"`
	To   string `json:"to,omitempty"`
}

var otherKinds = kinds{
	newWrapper("os.SyscallError",
		func(e *os.SyscallError) opFields { return opFields{Op: e.Syscall} },
		func(f opFields, inner error) error { return &os.SyscallError{Syscall: f.Op, Err: inner} }),
	newWrapper("fs.PathError",
		func(e *fs.PathError) opFields { return opFields{Op: e.Op, What: e.Path} },
		func(f opFields, inner error) error { return &fs.PathError{Op: f.Op, Path: f.What, Err: inner} }),
	newWrapper("os.LinkError",
		func(e *os.LinkError) opFields { return opFields{Op: e.Op, What: e.Old, To: e.New} },
		func(f opFields, inner error) error {
			return &os.LinkError{Op: f.Op, Old: f.What, New: f.To, Err: inner}
		}),
	newWrapper("exec.Error",
		func(e *exec.Error) opFields { return opFields{What: e.Name} },
		func(f opFields, inner error) error { return &exec.Error{Name: f.What, Err: inner} }),
	newWrapper("strconv.NumError",
		func(e *strconv.NumError) opFields { return opFields{Op: e.Func, What: e.Num} },
		func(f opFields, inner error) error { return &strconv.NumError{Func: f.Op, Num: f.What, Err: inner} }),
	newKind("json.SyntaxError",
		func(e *json.SyntaxError) int64 { return e.Offset },
		func(offset int64, _ error) error { return &json.SyntaxError{Offset: offset} }),
	newKind("base64.CorruptInputError",
		func(e base64.CorruptInputError) int64 { return int64(e) },
		func(offset int64, _ error) error { return base64.CorruptInputError(offset) }),
	newKind("time.ParseError",
		func(e *time.ParseError) time.ParseError { return *e },
		func(e time.ParseError, _ error) error { return &e }),
	newKind("http.MaxBytesError",
		func(e *http.MaxBytesError) int64 { return e.Limit },
		func(limit int64, _ error) error { return &http.MaxBytesError{Limit: limit} }),
	newKind("textproto.Error",
		func(e *textproto.Error) textproto.Error { return *e },
		func(e textproto.Error, _ error) error { return &e }),
	newKind("textproto.ProtocolError",
		func(e textproto.ProtocolError) string { return string(e) },
		func(text string, _ error) error { return textproto.ProtocolError(text) }),
	newKind("url.EscapeError",
		func(e url.EscapeError) string { return string(e) },
		func(text string, _ error) error { return url.EscapeError(text) }),
	newKind("url.InvalidHostError",
		func(e url.InvalidHostError) string { return string(e) },
		func(text string, _ error) error { return url.InvalidHostError(text) }),
}
