package execution

import (
	"cmp"
	"context"
	"os"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// A presence tells the server over and over that this process records, and how much was lost, for flux ps. Nothing waits for it and
// nothing depends on it: when the server is away, or does not know the call, nobody is told.
type presence struct {
	rec      *Recorder
	delivery *delivery
	host     string
	stop     context.CancelFunc
	done     chan struct{} // closed when run has ended
	told     bool          // the server knows this process. Only run uses it, and leave after it
}

const (
	// presenceEvery is the time between reports unless the server asks for another.
	presenceEvery = 10 * time.Second
	// presenceShortest and presenceLongest bound what the server may ask for.
	presenceShortest = time.Second
	presenceLongest  = 5 * time.Minute
	// presenceTimeout is how long a report may take, the last one included.
	presenceTimeout = 2 * time.Second
)

// announce begins to tell the server that a recorder, whose store this is, is there.
func (d *delivery) announce(r *Recorder) {
	if d.remote == nil {
		return
	}
	host, _ := os.Hostname() // without a name it is listed without one
	ctx, stop := context.WithCancel(context.Background())
	d.presence = &presence{rec: r, delivery: d, host: host, stop: stop, done: make(chan struct{})}
	go d.presence.run(ctx)
}

func (p *presence) run(ctx context.Context) {
	defer close(p.done)
	for {
		again, err := p.report(ctx, false)
		switch {
		case connect.CodeOf(err) == connect.CodeUnimplemented:
			return // an older server
		case err == nil:
			p.told = true
		}
		if !sleepUpload(ctx, again) {
			return
		}
	}
}

// report tells of the process once, and returns when to do so again.
func (p *presence) report(ctx context.Context, leaving bool) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	request := &fluxv1.ReportProcessRequest{Process: p.process(), Leaving: leaving}
	answer, err := p.delivery.remote.client.ReportProcess(ctx, connect.NewRequest(request))
	if err != nil {
		return presenceEvery, err
	}
	again = time.Duration(answer.Msg.GetAgainMs()) * time.Millisecond
	return min(max(cmp.Or(again, presenceEvery), presenceShortest), presenceLongest), nil
}

// leave tells the server that the process is going, if it knows it.
func (p *presence) leave(ctx context.Context) {
	if p == nil {
		return
	}
	p.stop()
	<-p.done
	if p.told {
		_, _ = p.report(ctx, true) // it falls silent otherwise
	}
}

func (p *presence) process() *fluxv1.Process {
	r, config := p.rec, p.rec.config
	return &fluxv1.Process{
		Instance: r.instance, Service: config.Service, Version: r.code.Version, Commit: r.code.Commit, Dirty: r.code.Dirty,
		Environment: config.Environment, Host: p.host, Pid: int64(os.Getpid()), Started: r.boot.started.UnixMilli(), Counters: p.counters(),
	}
}

func (p *presence) counters() *fluxv1.ProcessCounters {
	did, waits, uploads := p.rec.Stats(), p.delivery.journal.Stats(), p.delivery.uploader
	return &fluxv1.ProcessCounters{
		Executions: did.Executions, Kept: did.Kept + did.Dropped, Stored: uploads.stored.Load(),
		Waiting: int64(waits.Waiting), WaitingBytes: waits.WaitingBytes,
		LostBefore: did.Dropped, LostFull: waits.DroppedFull, LostMemory: waits.DroppedMemory, LostDamaged: waits.DroppedDamaged,
		Refused: uploads.refused.Load(), DiskErrors: waits.DiskErrors, Outside: did.Strays,
	}
}
