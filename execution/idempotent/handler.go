package idempotent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/flux-go/flux/execution"
)

// Handler returns a handler that lets next carry out each request with a key once. Requests with the key of another are answered
// without next:
//
//	replayed     the answer of the one that was carried out
//	in-progress  409 with Retry-After, while it is being carried out
//	mismatch     422, when its method, path, query or body were others
//
// and with 503 when the store does not answer. The answer of next is held back until it is stored, so next cannot flush nor hijack,
// and its context ends with the lease. Where executions are recorded, execution.Recorder.Middleware goes around this handler; what
// checks who sends the request, too. config may be nil.
func Handler(next http.Handler, store Store, config *Config) http.Handler {
	return &handler{next, keeper{store, config.WithDefaults()}}
}

type handler struct {
	next http.Handler
	keeper
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := h.config.headerKey(r)
	if key == "" && h.config.Key == nil {
		h.serveWithout(w, r)
		return
	}
	body, err := h.takeBody(r)
	if err != nil {
		refuseBody(w, err)
		return
	}
	if h.config.Key != nil {
		key = h.config.Key(r, body)
	}
	if key == "" {
		h.serveWithout(w, r)
		return
	}
	t, err := h.begin(r.Context(), nameOf(h.config.Secret, h.config.Caller(r), key), payloadOf(r, body))
	if err != nil {
		h.unavailable(w, r, err)
		return
	}
	switch t.Outcome {
	case unkeyed:
		h.next.ServeHTTP(w, r)
	case begun:
		h.carryOut(w, r, t)
	default:
		h.answer(w, r, &t.verdict)
	}
}

// takeBody reads the body of a request, which can be read again after it. A record may have less of it than there was, which matters
// to those who need it.
func (h *handler) takeBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, h.config.MaxBodyBytes))
	if err != nil && execution.FromContext(r.Context()).Of() == nil {
		return nil, err
	}
	again := io.Reader(bytes.NewReader(body))
	if err != nil {
		again = io.MultiReader(again, failing{err})
	}
	r.Body = &readAgain{again, r.Body}
	return body, nil
}

// failing is a reader whose bytes cannot be had.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

type readAgain struct {
	io.Reader
	io.Closer
}

func refuseBody(w http.ResponseWriter, err error) {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		http.Error(w, fmt.Sprintf("requests with an idempotency key have at most %d bytes", large.Limit), http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(w, "the request did not come whole", http.StatusBadRequest)
}

func (h *handler) serveWithout(w http.ResponseWriter, r *http.Request) {
	if h.config.Required {
		http.Error(w, "the request needs an idempotency key", http.StatusBadRequest)
		return
	}
	h.next.ServeHTTP(w, r)
}

func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	h.config.Logger.ErrorContext(r.Context(), "a request with an idempotency key is not carried out", "error", err)
	execution.Fail(r.Context(), err)
	w.Header().Set("Retry-After", "1")
	http.Error(w, "it is not known whether this request was carried out", http.StatusServiceUnavailable)
}

// answer answers a request that is not carried out here.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, v *verdict) {
	if v.Outcome != replayed && resumeOf(execution.FromContext(r.Context())) != "" {
		execution.Fail(r.Context(), fmt.Errorf("%w: %s", ErrConflict, v.Outcome)) // the resume did not finish it
	}
	switch v.Outcome {
	case replayed:
		w.Header().Set(HeaderStatus, string(replayed))
		h.config.Replay(w, r, v.Answer)
	case mismatch:
		w.Header().Set(HeaderStatus, "mismatch")
		http.Error(w, "the idempotency key was used for another request", http.StatusUnprocessableEntity)
	default:
		w.Header().Set(HeaderStatus, "in-progress")
		w.Header().Set("Retry-After", strconv.Itoa(v.RetryAfter))
		http.Error(w, "the request is being carried out", http.StatusConflict)
	}
}

// carryOut lets the handler answer, stores that, and sends it.
func (h *handler) carryOut(w http.ResponseWriter, r *http.Request, t *ticket) {
	out := newWriter(w, h.config.MaxAnswerBytes)
	ctx, cancel := t.limit(r.Context())
	defer cancel()
	inner := r.WithContext(context.WithValue(ctx, ticketKey{}, t))
	returned := false
	defer func() {
		r.Pattern = inner.Pattern // which names the route in records
		if !returned {            // a panic goes its way
			_, _ = h.end(r.Context(), t, nil)
		}
	}()
	h.next.ServeHTTP(out, inner)
	returned = true

	answer := out.answer()
	if h.config.Failed(answer.Status) {
		answer = nil
	}
	v, err := h.end(r.Context(), t, answer)
	switch {
	case err != nil && answer != nil:
		h.config.Logger.ErrorContext(r.Context(), "an answer is not stored: the request may be carried out again", "entry", t.Entry, "error", err)
		out.finish(unstored)
	case out.flowing, v.Answer == nil && v.Outcome != running:
		out.finish(v.Outcome)
	case v.Outcome == created:
		w.Header().Set(HeaderStatus, string(created))
		v.Answer.write(w)
	default:
		h.answer(w, r, v)
	}
}

// limit returns the context of the handler, which ends with the lease. A replay takes its time.
func (t *ticket) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.until.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, t.until)
}

// storeTimeout bounds what is done for requests whose client may be gone.
const storeTimeout = 10 * time.Second

func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}
