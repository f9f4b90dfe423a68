package native

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/message"
)

// logService serves fluxv1connect.LogServiceHandler.
type logService struct{ *Service }

// Append serves the procedure of this name.
func (s logService) Append(
	ctx context.Context, r *connect.Request[fluxv1.AppendRequest],
) (*connect.Response[fluxv1.AppendResponse], error) {
	if len(r.Msg.GetMessages()) == 0 {
		return nil, invalid("no messages")
	}
	op, err := s.appendOperation(&fluxv1.LogAppend{Log: r.Msg.GetLog(), Messages: r.Msg.GetMessages()})
	if err != nil {
		return nil, err
	}
	firsts, err := s.commit(ctx, []engine.Operation{op}, r.Msg.GetIdempotencyKey())
	if err != nil {
		return nil, err
	}
	indexes := make([]int64, op.Count())
	for i := range indexes {
		indexes[i] = int64(firsts[0]) + int64(i)
	}
	return connect.NewResponse(&fluxv1.AppendResponse{Indexes: indexes}), nil
}

// Commit serves the procedure of this name.
func (s logService) Commit(
	ctx context.Context, r *connect.Request[fluxv1.CommitRequest],
) (*connect.Response[fluxv1.CommitResponse], error) {
	operations, err := s.operations(nil, r.Msg.GetTransaction())
	if err != nil {
		return nil, err
	}
	firsts, err := s.commit(ctx, operations, r.Msg.GetIdempotencyKey())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.CommitResponse{FirstIndexes: int64s(firsts)}), nil
}

// commit proposes the operations as one transaction, at most once for each key unless it is empty. It returns what
// producer.Firsts says of them.
func (s *Service) commit(ctx context.Context, operations []engine.Operation, key string) ([]message.Index, error) {
	if key == "" {
		if err := s.propose(ctx, operations...); err != nil { // they may be applied yet
			return nil, err
		}
		return producer.Firsts(operations), nil
	}
	once := &producer.Once{Producer: keyProducer(key), Sequence: 1, Operations: operations}
	if err := s.propose(ctx, once); err != nil {
		return nil, err
	}
	if len(once.Firsts) != len(producer.Firsts(operations)) {
		return nil, engine.Conflict("idempotency key %q was used for another transaction", key)
	}
	return once.Firsts, nil
}

// keyProducer returns the producer that stands for an idempotency key. It only ever has a first transaction.
func keyProducer(key string) producer.ID {
	hash := sha256.Sum256([]byte("idempotency key\x00" + key))
	return producer.ID(hash[:len(producer.ID{})])
}

// propose commits a transaction in the namespace of the call.
func (s *Service) propose(ctx context.Context, operations ...engine.Operation) error {
	started := time.Now()
	err := s.engine.Propose(ctx, &engine.Transaction{Namespace: namespaceOf(ctx), Operations: operations})
	s.observer.Committed(time.Since(started), err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return hinted{err, "whether it was committed is unknown; with an idempotency_key it is safe to repeat"}
	}
	return err
}

// SetRetention serves the procedure of this name.
func (s logService) SetRetention(
	ctx context.Context, r *connect.Request[fluxv1.SetRetentionRequest],
) (*connect.Response[fluxv1.SetRetentionResponse], error) {
	log, err := parseLog(r.Msg.GetLog())
	if err != nil {
		return nil, err
	}
	retention, err := retentionOf(r.Msg.GetSeconds())
	if err != nil {
		return nil, err
	}
	if err := s.propose(ctx, &messagelog.SetRetention{Log: log, Retention: retention}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.SetRetentionResponse{}), nil
}

func retentionOf(seconds int64) (messagelog.Retention, error) {
	const maxSeconds = 250 * 365 * 24 * 60 * 60 // a time.Duration does not hold 300 years
	switch {
	case seconds == -1:
		return messagelog.Forever, nil
	case seconds < 0 || seconds > maxSeconds:
		return 0, invalid("retention of %d seconds: use 1 to %d, 0 for the default, or -1 for ever", seconds, maxSeconds)
	}
	return messagelog.Retention(seconds * 1000), nil
}

// Truncate serves the procedure of this name.
func (s logService) Truncate(
	ctx context.Context, r *connect.Request[fluxv1.TruncateRequest],
) (*connect.Response[fluxv1.TruncateResponse], error) {
	log, err := parseLog(r.Msg.GetLog())
	if err != nil {
		return nil, err
	}
	if through := r.Msg.GetThroughIndex(); through < 0 {
		return nil, fmt.Errorf("%w: through_index %d is no index", errBadRequest, through)
	}
	if err := s.propose(ctx, &messagelog.Truncate{Log: log, Through: message.Index(r.Msg.GetThroughIndex())}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.TruncateResponse{}), nil
}

func int64s(indexes []message.Index) []int64 {
	out := make([]int64, len(indexes))
	for i, index := range indexes {
		out[i] = int64(index)
	}
	return out
}
