package idempotent

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"
)

// ErrConflict is returned by Store.Put when the entry is not as it was seen: another attempt was faster.
var ErrConflict = errors.New("another attempt has the entry")

// A Store keeps entries by name: 64 hexadecimal digits. What Get returns and Put compares is the entry after all puts that returned
// before, on whichever process. Stores are safe for concurrent use.
type Store interface {
	// Get returns the entry of a name, the zero Entry when there is none.
	Get(ctx context.Context, name string) (Entry, error)
	// Put puts an entry in the place of the one whose revision is over, "" when there was none, and returns when it is durable. It
	// returns ErrConflict when there is another one now; after any other error the entry may have been put or not.
	Put(ctx context.Context, name, over string, e Entry) error
}

// State is what an entry is in.
type State string

// The states of entries. Those that are not done may be taken by another attempt: failed ones at once, running ones when their
// lease is over.
const (
	Running State = "running"
	Failed  State = "failed"
	Done    State = "done"
)

// An Entry is what a store has of a key.
type Entry struct {
	Revision string    `json:"revision"`          // of this state of the entry; no other has the same
	State    State     `json:"state"`             // Running, Failed, Done
	Payload  []byte    `json:"payload,omitempty"` // SHA-256 of method, path, query and body; nil when not known
	Owner    string    `json:"owner,omitempty"`   // recorded execution that the attempt belongs to, the first of its resumes
	Since    time.Time `json:"since"`             // when the attempt began
	Lease    time.Time `json:"lease,omitzero"`    // when a running attempt loses the entry
	Expires  time.Time `json:"expires"`           // when the entry is as if it were not there
	Answer   *Answer   `json:"answer,omitempty"`  // of one that is done
}

// An Answer is what a request was answered with.
type Answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"` // what is worth keeping: see Config
	Body   []byte      `json:"body,omitempty"`
	// Omitted says that the body was larger than Config.MaxAnswerBytes and is not kept.
	Omitted bool `json:"omitted,omitempty"`
}

// newRevision returns a name for a state of an entry.
func newRevision() string { return rand.Text() }

// An outcome is what becomes of a request with a key, or of an attempt.
type outcome string

const (
	unkeyed  outcome = "unkeyed"  // it runs again, and did so without a key
	begun    outcome = "begun"    // it is to be carried out
	replayed outcome = "replayed" // it was carried out before
	running  outcome = "running"  // another attempt is under way
	mismatch outcome = "mismatch" // the key was used for another request
	created  outcome = "created"  // it was carried out now
	failed   outcome = "failed"   // it was, and may be again
	unstored outcome = "unstored" // it was carried out, and the store does not know that
)

// An attempt is one try to carry out a request with a key.
type attempt struct {
	payload []byte // of the request, nil in a resume
	owner   string
	resumes bool // it goes on with what the owner did
	now     time.Time
}

// meet decides what becomes of an attempt that finds an entry.
func (a *attempt) meet(e Entry) outcome {
	own := a.resumes && a.owner == e.Owner
	switch {
	case e.Revision == "" || !a.now.Before(e.Expires):
		return begun
	case len(a.payload) > 0 && len(e.Payload) > 0 && string(a.payload) != string(e.Payload):
		return mismatch
	case e.State == Done:
		return replayed
	case e.State == Running && a.now.Before(e.Lease) && !own:
		return running
	}
	return begun
}

// take returns the entry that the attempt puts in the place of another.
func (a *attempt) take(e Entry, lease, ttl time.Duration) Entry {
	payload := a.payload
	if payload == nil && a.now.Before(e.Expires) {
		payload = e.Payload
	}
	return Entry{
		Revision: newRevision(), State: Running, Payload: payload, Owner: a.owner,
		Since: a.now, Lease: a.now.Add(lease), Expires: a.now.Add(max(lease, ttl)),
	}
}

// end returns the entry that a running one becomes: done with an answer, failed without one.
func (e Entry) end(answer *Answer, revision string, now time.Time, ttl time.Duration) Entry {
	e.Revision, e.State, e.Lease, e.Answer, e.Expires = revision, Failed, time.Time{}, answer, now.Add(ttl)
	if answer != nil {
		e.State = Done
	}
	return e
}
