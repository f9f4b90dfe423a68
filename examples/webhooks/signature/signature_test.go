package signature

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

var (
	now    = time.Unix(1_795_355_552, 0)
	secret = []byte("secret")
)

func signed() http.Header {
	h := make(http.Header)
	Sign(h, secret, "evt_7", now, []byte("body"))
	return h
}

func TestOnlyWhatWasSignedIsGenuine(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	for name, c := range map[string]struct {
		change  func(http.Header)
		secret  string
		after   time.Duration
		body    string
		genuine bool
	}{
		"as it was sent":    {genuine: true},
		"late":              {after: Tolerance, genuine: true},
		"early":             {after: -Tolerance, genuine: true},
		"too late":          {after: Tolerance + time.Second},
		"too early":         {after: -Tolerance - time.Second},
		"of two secrets":    {change: func(h http.Header) { h.Set(HeaderSignature, "v1,AAAA v2,x "+h.Get(HeaderSignature)) }, genuine: true},
		"another secret":    {secret: "other"},
		"no secret":         {secret: "none"},
		"another body":      {body: "Body"},
		"another id":        {change: set(HeaderID, "evt_8")},
		"no id":             {change: set(HeaderID, "")},
		"another timestamp": {change: set(HeaderTimestamp, "1795355553")},
		"no timestamp":      {change: set(HeaderTimestamp, "")},
		"no signature":      {change: set(HeaderSignature, "")},
		"an empty one":      {change: set(HeaderSignature, "v1,")},
		"another version":   {change: func(h http.Header) { h.Set(HeaderSignature, "v2"+h.Get(HeaderSignature)[2:]) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, key, body := signed(), secret, "body"
			if c.change != nil {
				c.change(h)
			}
			if c.secret != "" {
				key = []byte(c.secret)
			}
			if c.secret == "none" {
				key = nil
			}
			if c.body != "" {
				body = c.body
			}
			if err := Verify(h, key, now.Add(c.after), []byte(body)); (err == nil) != c.genuine || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%v, want genuine %v", err, c.genuine)
			}
		})
	}
}

// FuzzVerify looks for headers that pass without the secret.
func FuzzVerify(f *testing.F) {
	f.Add("evt_7", "1795355552", "v1,AAAA v1, v1,=")
	f.Add("", "-1", "\x00 v1,AAAA")
	f.Fuzz(func(t *testing.T, id, timestamp, signature string) {
		h := http.Header{HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {signature}}
		if err := Verify(h, secret, now, []byte("other")); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", h, err)
		}
	})
}
