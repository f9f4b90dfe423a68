package flux

import (
	"context"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// commit sends a transaction on the way that messages take, so that it is sent again after a lost connection and takes effect
// once, and returns its answers when it is on disk.
func (a *App) commit(ctx context.Context, t *fluxv1.Transaction) ([]int64, error) {
	tx := newTransaction(t)
	if err := a.producer.submit(ctx, tx, nil); err != nil {
		return nil, err
	}
	if err := tx.wait(ctx); err != nil {
		return nil, err
	}
	return tx.firsts, nil
}

// effect is commit of a change that either has an effect or not.
func (a *App) effect(ctx context.Context, t *fluxv1.Transaction) (bool, error) {
	answers, err := a.commit(ctx, t)
	return err == nil && answers[0] == 1, err
}

// packed returns messages as a block of their own, which nobody else uses.
func packed(messages ...*message.Message) ([]byte, error) {
	w := writers.Get().(*message.BlockWriter)
	defer writers.Put(w)
	for _, m := range messages {
		if err := w.Add(m); err != nil {
			w.Reset(message.BlockID{})
			return nil, tooLarge(err)
		}
	}
	return w.Seal(nil, message.Snappy), nil
}
