package idempotent

import (
	"cmp"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"
)

// HeaderStatus is the header of answers to requests with a key: created, replayed, failed, in-progress, mismatch, or unstored when the
// request was carried out and the store could not be told.
const HeaderStatus = "Idempotency-Status"

// HeaderBody is "omitted" in replayed answers whose body was too large to be kept.
const HeaderBody = "Idempotency-Body"

// HeaderKey is the header that keys come in unless Config says otherwise.
const HeaderKey = "Idempotency-Key"

// Config says which requests are carried out once, and for how long that is known. The zero value is usable.
//
// Of an answer are kept the status, the body, and those headers that the handler set and that are not about the connection or the
// moment: not Connection, Date, Set-Cookie, trailers and the like.
type Config struct {
	// Header is where the key is. Defaults to HeaderKey.
	Header string
	// Key returns the key of a request, such as the id of the event of a webhook, "" for those that are carried out each time they
	// come. It gets the body, so that MaxBodyBytes bounds all requests. Defaults to the value of Header, and to none for GET, HEAD,
	// OPTIONS and TRACE.
	Key func(r *http.Request, body []byte) string
	// Required refuses requests without a key, with 400. Defaults to false: they are carried out each time they come.
	Required bool
	// Caller returns who sent a request, so that no caller gets an answer of another. It must not change when the request is sent
	// again: set it where callers sign in with cookies, or with tokens that are renewed. Defaults to the header Authorization and
	// the certificate of the client.
	Caller func(r *http.Request) string
	// Secret hides keys and callers in the names of entries, which records and stores have. Processes that share a store share it.
	// Defaults to none: a name is then a plain hash.
	Secret []byte

	// Failed says which answers may be tried again. Defaults to 500 and above, 408, 425 and 429. A panic may, too.
	Failed func(status int) bool
	// Lease is how long an attempt may take: the context of the handler ends then, and another attempt may begin. Defaults to 1 min.
	Lease time.Duration
	// TTL is how long an answer is known, from the end of its attempt. Defaults to 24 h.
	TTL time.Duration
	// MaxBodyBytes bounds requests with a key; larger ones are refused with 413. Defaults to 1 MiB.
	MaxBodyBytes int64
	// MaxAnswerBytes bounds the body of an answer that is kept. A larger one goes to the first client only. Defaults to 1 MiB.
	MaxAnswerBytes int

	// Replay answers a request that was carried out before. HeaderStatus is set. Defaults to the answer as it was.
	Replay func(w http.ResponseWriter, r *http.Request, answer *Answer)
	// Logger gets errors of the store. Defaults to silence.
	Logger *slog.Logger
}

// WithDefaults returns a copy with defaults in place of zero values. c may be nil.
func (c *Config) WithDefaults() Config {
	out := Config{}
	if c != nil {
		out = *c
	}
	out.Header = cmp.Or(out.Header, HeaderKey)
	out.Lease = cmp.Or(out.Lease, time.Minute)
	out.TTL = cmp.Or(out.TTL, 24*time.Hour)
	out.MaxBodyBytes = cmp.Or(out.MaxBodyBytes, 1<<20)
	out.MaxAnswerBytes = cmp.Or(out.MaxAnswerBytes, 1<<20)
	if out.Caller == nil {
		out.Caller = caller
	}
	if out.Failed == nil {
		out.Failed = mayBeTriedAgain
	}
	if out.Replay == nil {
		out.Replay = func(w http.ResponseWriter, _ *http.Request, a *Answer) { a.write(w) }
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

func (c *Config) headerKey(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return ""
	}
	return r.Header.Get(c.Header)
}

func caller(r *http.Request) string {
	who := r.Header.Get("Authorization")
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		who += "\x00" + string(sum[:])
	}
	return who
}

func mayBeTriedAgain(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}
