package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/message"
)

// janitor deletes what is old: messages and executions beyond their retention, and producers that have not been heard of.
type janitor struct {
	engine     *engine.Engine
	logs       *messagelog.Logs
	executions *recording.Executions
	every      time.Duration
	clock      func() time.Time
	logger     *slog.Logger
}

func (j *janitor) run(ctx context.Context) error {
	ticker := time.NewTicker(j.every)
	defer ticker.Stop()
	for {
		if err := j.clean(ctx); err != nil && ctx.Err() == nil {
			// The next round may do better, and a server that keeps too much is better than none.
			j.logger.Warn("deleting what is old", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// clean deletes what is old now.
func (j *janitor) clean(ctx context.Context) error {
	namespaces, transactions, err := j.find()
	if errors.Is(j.engine.Err(), engine.ErrReadOnly) {
		return nil // has been logged, and nothing can be done
	}
	for _, tx := range transactions {
		err = errors.Join(err, j.engine.Propose(ctx, tx))
	}
	for _, ns := range namespaces {
		_, expireErr := j.executions.Expire(ctx, ns, j.clock())
		err = errors.Join(err, expireErr)
	}
	return err
}

// find returns all namespaces and the transactions that delete what is old, even when it also returns an error.
func (j *janitor) find() ([]message.Namespace, []*engine.Transaction, error) {
	view := j.engine.View()
	defer view.Close()
	namespaces, err := view.Namespaces()
	if err != nil {
		return nil, nil, err
	}
	transactions, err := j.logs.Expired(namespaces, j.clock())
	for _, ns := range namespaces {
		tx, idleErr := j.idle(view, ns)
		if err = errors.Join(err, idleErr); tx != nil {
			transactions = append(transactions, tx)
		}
	}
	return namespaces, transactions, err
}

func (j *janitor) idle(view *engine.View, ns message.Namespace) (*engine.Transaction, error) {
	return producer.Idle(view, ns, j.clock())
}
