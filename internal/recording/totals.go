package recording

import (
	"encoding/binary"

	"github.com/flux-go/flux/internal/engine"
)

// totals are the figures of a namespace.
type totals struct {
	arrival    uint64 // last number given out
	token      uint64 // of the last lease
	executions uint64 // without those that are pinned
	bytes      uint64 // of their records
	pinned     uint64
	retention  Retention
}

const totalsVersion = 1

// encode writes what is under family recording; docs/format/keys.md, executions.
func (t *totals) encode() []byte {
	b := append(make([]byte, 0, 64), totalsVersion)
	for _, n := range []uint64{t.arrival, t.token, t.executions, t.bytes, t.pinned} {
		b = binary.AppendUvarint(b, n)
	}
	for _, n := range []int64{t.retention.Seconds, t.retention.Executions, t.retention.Bytes} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// decodeTotals is the counterpart of encode; nil is a namespace without executions. It returns engine.ErrCorrupt.
func decodeTotals(raw []byte) (totals, error) {
	if raw == nil {
		return totals{}, nil
	}
	if len(raw) == 0 || raw[0] != totalsVersion {
		return totals{}, corrupt("totals", raw)
	}
	var t totals
	n := numbers{raw: raw[1:]}
	for _, field := range []*uint64{&t.arrival, &t.token, &t.executions, &t.bytes, &t.pinned} {
		*field = n.unsigned()
	}
	for _, field := range []*int64{&t.retention.Seconds, &t.retention.Executions, &t.retention.Bytes} {
		*field = n.signed()
	}
	if n.bad || len(n.raw) > 0 || t.retention.Validate() != nil {
		return totals{}, corrupt("totals", raw)
	}
	return t, nil
}

func readTotals(tx *engine.Tx) (totals, error) {
	raw, err := tx.Get(totalsKey(tx.Namespace()))
	if err != nil {
		return totals{}, err
	}
	return decodeTotals(raw)
}

func (t *totals) write(tx *engine.Tx) { tx.Set(totalsKey(tx.Namespace()), t.encode()) }

// add counts an execution, and with -1 takes one away.
func (t *totals) add(i *Item, n int64) {
	if i.Pinned {
		t.pinned += uint64(n)
		return
	}
	t.executions += uint64(n)
	t.bytes += uint64(n * int64(i.Bytes))
}
