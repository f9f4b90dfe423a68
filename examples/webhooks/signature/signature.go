// Package signature signs webhooks and checks their signatures, in the way of standardwebhooks.com:
//
//	Webhook-Id: evt_7                                     of the event, the same however often it is sent
//	Webhook-Timestamp: 1795355552                         seconds since the Unix epoch, of this sending
//	Webhook-Signature: v1,K5oZfzN95Z9UVu1EsfQm…           HMAC-SHA256 of "ID.TIMESTAMP.BODY" in base64; several with spaces between
//
// The signature says that the sender knows the secret, and the timestamp that it is not one that somebody has kept. Whoever has the
// secret can forge webhooks, and a receiver without a clock takes old ones.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a webhook.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Tolerance is how far the clocks of sender and receiver may be apart, and how long a webhook may be under way.
const Tolerance = 5 * time.Minute

// ErrInvalid is returned for webhooks that the sender did not sign, or not now.
var ErrInvalid = errors.New("the webhook is not genuine")

const version = "v1,"

// Sign sets the headers of a webhook for an event that is sent now.
func Sign(h http.Header, secret []byte, id string, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, version+base64.StdEncoding.EncodeToString(sum(secret, id, timestamp, body)))
}

// Verify returns ErrInvalid unless one of the signatures is that of the webhook, and its timestamp is not further from now than
// Tolerance. It takes the same time for each wrong signature.
func Verify(h http.Header, secret []byte, now time.Time, body []byte) error {
	id, timestamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	switch {
	case len(secret) == 0:
		return fmt.Errorf("%w: there is no secret to check it with", ErrInvalid)
	case id == "":
		return fmt.Errorf("%w: it has no id", ErrInvalid)
	case err != nil:
		return fmt.Errorf("%w: timestamp %q", ErrInvalid, timestamp)
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > Tolerance {
		return fmt.Errorf("%w: it was sent %v from now", ErrInvalid, age)
	}
	want := sum(secret, id, timestamp, body)
	for given := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		text, known := strings.CutPrefix(given, version)
		signature, err := base64.StdEncoding.DecodeString(text)
		if known && err == nil && hmac.Equal(signature, want) {
			return nil
		}
	}
	return fmt.Errorf("%w: the signature is another", ErrInvalid)
}

func sum(secret []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(id + "." + timestamp + ".")) // a hash takes everything
	_, _ = h.Write(body)
	return h.Sum(nil)
}
