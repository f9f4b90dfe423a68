package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// place is where an execution is among all: ^(start in milliseconds << 16 | a number that makes it unique). Greater places are
// older executions.
type place uint64

const (
	// maxMilli is the latest start, in the year 4199.
	maxMilli = 1<<46 - 1
	// placesPerMilli is how many executions may start in a millisecond.
	placesPerMilli = 1 << 16

	newest place = 0
	oldest place = 1<<64 - 1
)

func placeAt(milli int64, number uint16) place { return ^place(uint64(milli)<<16 | uint64(number)) }

func (p place) milli() int64 { return int64(^p >> 16) }

// errNoPlace is returned for the 65,537th execution of a millisecond.
var errNoPlace = errors.New("too many executions start in one millisecond")

// freePlace returns a place for an execution that has none. Random ids make the first try succeed nearly always.
func freePlace(tx *engine.Tx, id record.ID, start time.Time) (place, error) {
	number := binary.BigEndian.Uint16(id[:2])
	for range placesPerMilli {
		p := placeAt(start.UnixMilli(), number)
		if taken, err := tx.Get(summaryKey(tx.Namespace(), p)); err != nil || taken == nil {
			return p, err
		}
		number++
	}
	return 0, engine.Conflict("%s: %s", errNoPlace, start)
}

func numberKey(ns message.Namespace, f engine.Family, n uint64) []byte {
	key := make([]byte, 0, len(ns)+2+8)
	return engine.AppendUint64(engine.AppendKey(key, ns, f), n)
}

func idKey(ns message.Namespace, f engine.Family, id record.ID) []byte {
	key := make([]byte, 0, len(ns)+2+len(id))
	return append(engine.AppendKey(key, ns, f), id[:]...)
}

func executionKey(ns message.Namespace, id record.ID) []byte {
	return idKey(ns, engine.FamilyExecution, id)
}

func leaseKey(ns message.Namespace, id record.ID) []byte { return idKey(ns, engine.FamilyLease, id) }

func summaryKey(ns message.Namespace, p place) []byte {
	return numberKey(ns, engine.FamilySummary, uint64(p))
}

func recordKey(ns message.Namespace, p place) []byte {
	return numberKey(ns, engine.FamilyRecord, uint64(p))
}

func arrivalKey(ns message.Namespace, number uint64) []byte {
	return numberKey(ns, engine.FamilyArrival, number)
}

// termKey is what the postings of a term begin with.
func termKey(ns message.Namespace, t term) []byte {
	key := make([]byte, 0, len(ns)+2+len(t)+1+8)
	return engine.AppendText(engine.AppendKey(key, ns, engine.FamilyPosting), string(t))
}

func postingKey(ns message.Namespace, t term, p place) []byte {
	return engine.AppendUint64(termKey(ns, t), uint64(p))
}

func issueKey(ns message.Namespace, fingerprint string) []byte {
	key := make([]byte, 0, len(ns)+2+len(fingerprint))
	return append(engine.AppendKey(key, ns, engine.FamilyIssue), fingerprint...)
}

// issueOrderKey sorts issues by when they were seen last, the newest first.
func issueOrderKey(ns message.Namespace, lastSeen int64, fingerprint string) []byte {
	return append(numberKey(ns, engine.FamilyIssueOrder, ^uint64(lastSeen)), fingerprint...)
}

func totalsKey(ns message.Namespace) []byte { return engine.AppendKey(nil, ns, engine.FamilyRecording) }

// decodePlace returns the place that is stored under an id or an arrival number.
func decodePlace(raw []byte) (place, error) {
	if len(raw) != 8 {
		return 0, fmt.Errorf("%w: place %x", engine.ErrCorrupt, raw)
	}
	return place(binary.BigEndian.Uint64(raw)), nil
}

func (p place) encode() []byte { return engine.AppendUint64(nil, uint64(p)) }
