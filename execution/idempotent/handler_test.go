package idempotent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// post returns a request with a key, whose body is "body" unless change changes it.
func post(key string, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/orders?a=b", strings.NewReader("body"))
	r.Header.Set(HeaderKey, key)
	if change != nil {
		change(r)
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// check compares status, HeaderStatus and body of an answer.
func check(t testing.TB, w *httptest.ResponseRecorder, status int, how, body string) {
	t.Helper()
	if w.Code != status || w.Header().Get(HeaderStatus) != how || w.Body.String() != body {
		t.Errorf("%d %q %q, want %d %q %q", w.Code, w.Header().Get(HeaderStatus), w.Body, status, how, body)
	}
}

// counting answers 201 with how often it was called, and what it read.
type counting struct{ calls int }

// ServeHTTP implements http.Handler.
func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%d %s", c.calls, body)
}

const (
	isMismatch = "the idempotency key was used for another request\n"
	isRunning  = "the request is being carried out\n"
)

// TestRequestsAreBoundToTheirKeys is N4.
func TestRequestsAreBoundToTheirKeys(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(text)) }
	}
	for name, c := range map[string]struct {
		change    func(*http.Request)
		status    int
		how, body string
	}{
		"the same":            {nil, 201, "replayed", "1 body"},
		"other headers":       {set("Accept", "text/plain"), 201, "replayed", "1 body"},
		"another key":         {set(HeaderKey, "other"), 201, "created", "2 body"},
		"no key":              {set(HeaderKey, ""), 201, "", "2 body"},
		"another caller":      {set("Authorization", "Bearer b"), 201, "created", "2 body"},
		"another certificate": {certificate, 201, "created", "2 body"},
		"another method":      {func(r *http.Request) { r.Method = http.MethodPut }, 422, "mismatch", isMismatch},
		"another path":        {func(r *http.Request) { r.URL.Path = "/refunds" }, 422, "mismatch", isMismatch},
		"another query":       {func(r *http.Request) { r.URL.RawQuery = "a=c" }, 422, "mismatch", isMismatch},
		"another body":        {body("other"), 422, "mismatch", isMismatch},
		"no body":             {func(r *http.Request) { r.Body = http.NoBody }, 422, "mismatch", isMismatch},
		"a safe method":       {func(r *http.Request) { r.Method = http.MethodGet }, 201, "", "2 body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := Handler(&counting{}, newMemory(), nil)
			check(t, serve(h, post("key", nil)), 201, "created", "1 body")
			check(t, serve(h, post("key", c.change)), c.status, c.how, c.body)
		})
	}
}

func certificate(r *http.Request) {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("certificate")}}}
}

func TestNamesDoNotTouch(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, secret := range []string{"", "secret"} {
		for _, parts := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}} {
			names[nameOf([]byte(secret), parts[0], parts[1])] = true
		}
	}
	if len(names) != 8 {
		t.Errorf("%d names, want 8", len(names))
	}
}

func TestFailedRequestsMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]http.HandlerFunc{
		"500":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
		"429":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTooManyRequests) },
		"panic":     func(http.ResponseWriter, *http.Request) { panic("no") },
		"abort":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half sent": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "half"); panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken, good := true, &counting{}
			h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken {
					fail(w, r)
				}
				good.ServeHTTP(w, r)
			}), newMemory(), nil)
			func() {
				defer func() { _ = recover() }()
				if w := serve(h, post("key", nil)); w.Header().Get(HeaderStatus) != "failed" {
					t.Errorf("%d %v", w.Code, w.Header())
				}
			}()
			broken, good.calls = false, 0
			// The key stays bound to the request.
			other := post("key", func(r *http.Request) { r.URL.Path = "/refunds" })
			check(t, serve(h, other), 422, "mismatch", isMismatch)
			check(t, serve(h, post("key", nil)), 201, "created", "1 body")
			check(t, serve(h, post("key", nil)), 201, "replayed", "1 body")
		})
	}
}

func TestAnswersComeAgainAsTheyWere(t *testing.T) {
	t.Parallel()
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Location", "/orders/1")
		header.Add("Link", "a")
		header.Add("Link", "b")
		header.Set("Set-Cookie", "session=1")
		header.Set("Date", "yesterday")
		header.Set("Trailer", "After")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
		header.Set("Late", "1")
		header.Set("After", "2")
		fmt.Fprint(w, "<p>")
		fmt.Fprint(w, "text")
	}), newMemory(), nil)
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", r.Header.Get("Request-Id"))
		h.ServeHTTP(w, r)
	})
	server := httptest.NewServer(around)
	defer server.Close()
	for i, how := range []string{"created", "replayed"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(HeaderKey, "key")
		r.Header.Set("Request-Id", fmt.Sprint(i))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 202 || string(body) != "<p>text" {
			t.Errorf("%d %s, %v", resp.StatusCode, body, err)
		}
		first := map[bool]string{true: "session=1", false: ""}[i == 0]
		for name, want := range map[string]string{
			HeaderStatus: how, "Location": "/orders/1", "Link": "a,b", "Content-Type": "text/html; charset=utf-8", "Request-Id": fmt.Sprint(i),
			"Late": "", "Set-Cookie": first,
		} {
			if got := strings.Join(resp.Header.Values(name), ","); got != want {
				t.Errorf("%s: %s is %q, want %q", how, name, got, want)
			}
		}
		if after := resp.Trailer.Get("After"); (after == "2") != (i == 0) {
			t.Errorf("%s: trailer %v", how, resp.Trailer)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	next := &counting{}
	h := Handler(next, newMemory(), &Config{MaxBodyBytes: 4, MaxAnswerBytes: 6})
	check(t, serve(h, post("key", nil)), 201, "created", "1 body")
	large := func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("bodies")) }
	if w := serve(h, post("other", large)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	check(t, serve(h, post("", large)), 201, "", "2 bodies")
	if w := serve(h, post("other", func(r *http.Request) { r.Body = io.NopCloser(brokenReader{}) })); w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	next.calls = 10 // whose answer has 7 bytes
	check(t, serve(h, post("large", nil)), 201, "created", "11 body")
	w := serve(h, post("large", nil))
	check(t, w, 201, "replayed", "")
	if w.Header().Get(HeaderBody) != "omitted" {
		t.Errorf("%v", w.Header())
	}
}

type brokenReader struct{}

// Read implements io.Reader.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestKeysMayBeRequiredAndComeFromElsewhere(t *testing.T) {
	t.Parallel()
	h := Handler(&counting{}, newMemory(), &Config{
		Required: true,
		Key:      func(_ *http.Request, body []byte) string { return strings.TrimPrefix(string(body), "body") },
		Caller:   func(*http.Request) string { return "" },
		Replay: func(w http.ResponseWriter, _ *http.Request, a *Answer) {
			fmt.Fprintf(w, "%d %s, again", a.Status, a.Body)
		},
	})
	with := func(body, caller string) *http.Request {
		return post("", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(body))
			r.Header.Set("Authorization", caller)
		})
	}
	check(t, serve(h, with("body", "")), 400, "", "the request needs an idempotency key\n")
	check(t, serve(h, with("body1", "a")), 201, "created", "1 body1")
	check(t, serve(h, with("body1", "b")), 200, "replayed", "201 1 body1, again")
	check(t, serve(h, with("body2", "b")), 201, "created", "2 body2")
}

func TestNothingIsCarriedOutWithoutTheStore(t *testing.T) {
	t.Parallel()
	store, next := newMemory(), &counting{}
	var log bytes.Buffer
	h := Handler(next, store, &Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	store.fail(errors.New("the disk is gone"))
	w := serve(h, post("key", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || next.calls != 0 || !strings.Contains(log.String(), "the disk is gone") {
		t.Errorf("%d %v, %d calls, log %s", w.Code, w.Header(), next.calls, &log)
	}
}

func TestAnAnswerThatCannotBeStoredGoesOut(t *testing.T) {
	t.Parallel()
	store, next := newMemory(), &counting{}
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		store.fail(errors.New("the disk is gone"))
	}), store, nil)
	check(t, serve(h, post("key", nil)), 201, "unstored", "1 body")
	store.fail(nil)
	check(t, serve(h, post("key", nil)), 409, "in-progress", isRunning)
	broken := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		store.fail(errors.New("the disk is gone"))
		w.WriteHeader(http.StatusInternalServerError)
	}), store, nil)
	check(t, serve(broken, post("other", nil)), 500, "failed", "")
}

// resending is a store whose first put takes effect, and is sent again by a driver that did not notice.
type resending struct {
	*memory
	sent bool
}

// Put implements Store.
func (s *resending) Put(ctx context.Context, name, over string, e Entry) error {
	err := s.memory.Put(ctx, name, over, e)
	if !s.sent {
		s.sent = true
		err = s.memory.Put(ctx, name, over, e)
	}
	return err
}

func TestAPutThatWasSentTwiceIsOnesOwn(t *testing.T) {
	t.Parallel()
	store := &resending{memory: newMemory()}
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		store.sent = false
		fmt.Fprint(w, "done")
	}), store, nil)
	check(t, serve(h, post("key", nil)), 200, "created", "done")
	check(t, serve(h, post("key", nil)), 200, "replayed", "done")
}

// TestAnAttemptLosesItsEntryWithItsLease is N3: a slow first attempt, whose lease is over, stores nothing.
func TestAnAttemptLosesItsEntryWithItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var goOn [3]chan struct{}
		for i := range goOn {
			goOn[i] = make(chan struct{})
		}
		var calls atomic.Int32
		h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := calls.Add(1) - 1
			if deadline, ok := r.Context().Deadline(); !ok || time.Until(deadline) != 10*time.Second {
				t.Errorf("the context ends in %v", time.Until(deadline))
			}
			<-goOn[n]
			if n == 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprint(w, n)
		}), newMemory(), &Config{Lease: 10 * time.Second})
		var answers [3]*httptest.ResponseRecorder
		begin := func(i int) {
			go func() { answers[i] = serve(h, post("key", nil)) }()
			synctest.Wait()
		}
		retry := func(want string) {
			t.Helper()
			w := serve(h, post("key", nil))
			check(t, w, 409, "in-progress", isRunning)
			if got := w.Header().Get("Retry-After"); got != want {
				t.Errorf("Retry-After is %s, want %s", got, want)
			}
		}
		begin(0)
		retry("1")
		<-time.After(4 * time.Second)
		retry("4")
		<-time.After(3 * time.Second)
		retry("3")
		<-time.After(3 * time.Second)
		begin(1)
		close(goOn[0])
		synctest.Wait()
		check(t, answers[0], 409, "in-progress", isRunning)
		<-time.After(10 * time.Second)
		begin(2)
		close(goOn[2])
		synctest.Wait()
		check(t, answers[2], 500, "failed", "2")
		close(goOn[1]) // it lost the entry, and another attempt gave it back
		synctest.Wait()
		check(t, answers[1], 409, "in-progress", isRunning)
	})
}

// TestALateAttemptGetsTheAnswerOfTheOther is N2.
func TestALateAttemptGetsTheAnswerOfTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var calls atomic.Int32
		h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				<-r.Context().Done() // at the end of the lease
				<-goOn
				fmt.Fprint(w, "late, ")
			}
			fmt.Fprint(w, "done")
		}), newMemory(), nil)
		var late *httptest.ResponseRecorder
		go func() { late = serve(h, post("key", nil)) }()
		<-time.After(time.Minute)
		check(t, serve(h, post("key", nil)), 200, "created", "done")
		close(goOn)
		synctest.Wait()
		check(t, late, 200, "replayed", "done")
		<-time.After(24*time.Hour - time.Second)
		check(t, serve(h, post("key", nil)), 200, "replayed", "done")
		<-time.After(time.Second)
		check(t, serve(h, post("key", nil)), 200, "created", "done")
	})
}
