package flux

import (
	"fmt"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// frame is transactions that a [producer] sends in one request, and that are answered together. The server commits or refuses
// each of them by itself.
type frame struct {
	first           uint64 // number of the first transaction; the others follow without gap
	answeredThrough uint64 // number
	transactions    []*transaction
	small           int  // bytes of a small frame, 0 of others
	answered        bool // guarded by the producer
}

// request returns what is sent, now or again.
func (f *frame) request(producer []byte) *fluxv1.PublishRequest {
	r := &fluxv1.PublishRequest{
		Producer: producer, Sequence: f.first, AnsweredThrough: f.answeredThrough, Transaction: f.transactions[0].changes,
	}
	if others := f.transactions[1:]; len(others) > 0 {
		r.Others = make([]*fluxv1.Transaction, len(others))
		for i, t := range others {
			r.Others[i] = t.changes
		}
	}
	return r
}

// settle settles the transactions by their answers. The error is that of a server which does not know frames.
func (f *frame) settle(answer *fluxv1.PublishResponse) error {
	var broken error
	if others := len(f.transactions) - 1; int(answer.GetOthers()) != others {
		broken = fmt.Errorf("%w: the server answered %d of %d transactions", ErrInternal, 1+answer.GetOthers(), 1+others)
	}
	firsts, refused := answer.GetFirstIndexes(), answer.GetRefusedOthers()
	for i, t := range f.transactions {
		e := answer.GetError()
		if i > 0 {
			e = nil
			if len(refused) > 0 && refused[0].GetSequence() == f.first+uint64(i) {
				e, refused = refused[0].GetError(), refused[1:]
			}
		}
		switch n := min(answersOf(t.changes), len(firsts)); {
		case i > 0 && broken != nil:
			t.finish(nil, broken)
		case e != nil:
			t.finish(nil, explained(e.GetDetail(), e.GetMessage()))
		default:
			t.finish(firsts[:n:n], nil)
			firsts = firsts[n:]
		}
	}
	return broken
}
