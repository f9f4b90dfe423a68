package idempotent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net/http"
)

// nameOf returns the name of the entry of a key and a caller.
func nameOf(secret []byte, caller, key string) string {
	h := hmac.New(sha256.New, secret)
	writeAll(h, caller, key)
	return hex.EncodeToString(h.Sum(nil))
}

// payloadOf returns what makes two requests with one key the same.
func payloadOf(r *http.Request, body []byte) []byte {
	h := sha256.New()
	writeAll(h, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body))
	return h.Sum(nil)
}

// writeAll writes texts so that no two lists of texts give the same bytes.
func writeAll(h hash.Hash, texts ...string) {
	for _, text := range texts {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(text)))) // a hash takes everything
		_, _ = h.Write([]byte(text))
	}
}
