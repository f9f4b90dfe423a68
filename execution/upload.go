package execution

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
)

// outbox holds finished executions until the server has them, in memory or in the spool of package journal. The goroutines of
// requests put executions into it; an uploader takes them out.
type outbox interface {
	// Next waits until there are executions and returns the oldest ones, encoded, as many as it likes to have in memory. It
	// returns the same again until they are acknowledged. The error is io.EOF once nothing is left and nothing will come.
	Next(ctx context.Context) ([][]byte, error)
	// Acknowledge forgets what Next returned last: the server has it on disk, or will never take it.
	Acknowledge() error
}

const (
	// uploadBytes and uploadCount bound one request, except that a single execution may be larger.
	uploadBytes = 4 << 20
	uploadCount = 500
	// uploadTimeout is how long one request may take.
	uploadTimeout = 30 * time.Second
	// uploadFirstWait and uploadLongestWait are the waits after the first failure and after many.
	uploadFirstWait   = 100 * time.Millisecond
	uploadLongestWait = 15 * time.Second
)

// uploader brings executions from an outbox to a server, over and over until the server has them. It has one goroutine, one
// request under way and one batch in memory, and nobody waits for it: when the server is away the outbox fills and says what
// it leaves out.
type uploader struct {
	remote *remote
	outbox outbox
	logger *slog.Logger

	stored  atomic.Int64 // executions that the server has
	refused atomic.Int64 // executions that the server will never take
	failing atomic.Bool  // the last request failed and will be repeated
}

func newUploader(r *remote, from outbox, logger *slog.Logger) *uploader {
	return &uploader{remote: r, outbox: from, logger: logger}
}

// run uploads until the outbox is at its end, which is no error, or ctx ends.
func (u *uploader) run(ctx context.Context) error {
	for {
		batch, err := u.outbox.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = u.upload(ctx, batch)
		}
		if err == nil {
			err = u.outbox.Acknowledge()
		}
		if err != nil {
			return err
		}
	}
}

// upload returns once the server has each execution of the batch or has refused it, or ctx has ended.
func (u *uploader) upload(ctx context.Context, batch [][]byte) error {
	for len(batch) > 0 {
		n := requestLen(batch)
		if err := u.deliver(ctx, batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// requestLen is how many executions of a batch, at least one, make one request.
func requestLen(batch [][]byte) int {
	n, bytes := 0, 0
	for n < len(batch) && n < uploadCount && (n == 0 || bytes+len(batch[n]) <= uploadBytes) {
		bytes += len(batch[n])
		n++
	}
	return n
}

// deliver repeats one request until it is answered.
func (u *uploader) deliver(ctx context.Context, executions [][]byte) error {
	for wait := uploadFirstWait; ; wait = min(2*wait, uploadLongestWait) {
		err := u.try(ctx, executions)
		switch {
		case err == nil:
			u.failing.Store(false)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isFinal(err) && len(executions) == 1:
			u.refuse("", err.Error())
			return nil
		case isFinal(err): // one of them is too much for the server: find out which
			half := len(executions) / 2
			if err := u.deliver(ctx, executions[:half]); err != nil {
				return err
			}
			return u.deliver(ctx, executions[half:])
		}
		if !u.failing.Swap(true) {
			u.logger.Warn("the server does not take executions; they wait", "error", err)
		}
		if !sleepUpload(ctx, wait/2+rand.N(wait/2)) {
			return ctx.Err()
		}
	}
}

func (u *uploader) try(ctx context.Context, executions [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	outcomes, err := u.remote.record(ctx, executions, nil)
	if err != nil {
		return err
	}
	for _, outcome := range outcomes {
		if outcome.GetOutcome() == "refused" {
			u.refuse(outcome.GetId(), outcome.GetReason())
		} else {
			u.stored.Add(1)
		}
	}
	return nil
}

func (u *uploader) refuse(id, reason string) {
	u.refused.Add(1)
	u.logger.Error("the server refused an execution, which is lost", "execution", id, "reason", reason)
}

// isFinal says that a request can never succeed as it is. Everything else may be mended at the server: its disk, its address,
// a token.
func isFinal(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeResourceExhausted:
		return true
	}
	return false
}

// sleepUpload reports whether the time has passed, rather than that ctx has ended.
func sleepUpload(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
