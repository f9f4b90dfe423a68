package fluxredis

import (
	"bytes"
	"encoding/json"
	"testing"
)

// seeds are one reply of each kind.
var seeds = []string{
	"+OK\r\n", "-WRONGTYPE no\r\n", ":42\r\n", ":-0\r\n", "$5\r\nhello\r\n", "$0\r\n\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "_\r\n", "#t\r\n", "#f\r\n",
	",1.5\r\n", ",inf\r\n", "(3492890328409238509324850943850943825024385\r\n", "!5\r\noops!\r\n", "=7\r\ntxt:abc\r\n",
	"$4\r\n\xff\x00ab\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n", "~0\r\n", "%0\r\n", ">2\r\n+message\r\n$1\r\nx\r\n",
	"$13\r\n{\"base64\":\"\"}\r\n", "+\xff\r\n",
}

// FuzzReply checks R1: what is decoded, put into a record and taken from there has the same bytes.
func FuzzReply(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, rest, err := decodeReply(data)
		if err != nil {
			return
		}
		whole := data[:len(data)-len(rest)]
		text, err := json.Marshal(&r)
		if err != nil {
			return // booleans and the like with a text that RESP does not know
		}
		var again reply
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%q became %s: %v", whole, text, err)
		}
		canonical := r.appendTo(nil)
		if got := again.appendTo(nil); !bytes.Equal(got, canonical) {
			t.Errorf("%q became %s became %q", canonical, text, got)
		}
	})
}

func TestSeedsAreCanonical(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds {
		r, rest, err := decodeReply([]byte(seed))
		if err != nil || len(rest) > 0 || string(r.appendTo(nil)) != seed {
			t.Errorf("%q: %v, rest %q, written %q", seed, err, rest, r.appendTo(nil))
		}
	}
}

func TestDamagedRepliesAreRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "\r\n", "$5\r\nabc\r\n", "$99999999999999999999\r\n", "*1000000000\r\n", "?x\r\n", "$3\r\nabcde", "*1\r\n"} {
		if r, _, err := decodeReply([]byte(data)); err == nil {
			t.Errorf("%q is taken for %+v", data, r)
		}
	}
}
