package execution

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flux-go/flux/execution/journal"
	"github.com/flux-go/flux/execution/record"
)

// A delivery is the store of a recorder with a folder, and mostly with a server: what is kept waits in the journal of the
// process until the server has it.
type delivery struct {
	journal *journal.Journal
	remote  *remote // nil when records stay in the folder
	stop    context.CancelFunc
	done    chan struct{} // closed when the uploader has ended

	uploader *uploader // nil without a remote
	presence *presence // nil without a remote, and in processes that replay or resume one record
}

// openDelivery opens the folder of the configuration, with what dead processes left in it, and begins to upload.
func openDelivery(config Config) (*delivery, error) {
	dir := config.Dir
	if dir == "" {
		dir = defaultDir(config.Service)
	}
	j, err := journal.Open(dir, &journal.Config{MaxBytes: config.Limits.SpoolBytes})
	if err != nil {
		return nil, fmt.Errorf("%w: Dir: %w", ErrBadConfig, err)
	}
	for _, x := range j.Recovered() {
		config.Logger.Warn("a process died with an execution under way", "execution", x.ID, "status", x.Status)
	}
	d := &delivery{journal: j, done: make(chan struct{})}
	if config.URL == "" {
		close(d.done)
		d.stop = func() {}
		return d, nil
	}
	d.remote = newRemote(config.URL, config.Token, config.Namespace)
	d.uploader = newUploader(d.remote, j, config.Logger)
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() {
		defer close(d.done)
		if err := d.uploader.run(ctx); err != nil && ctx.Err() == nil {
			config.Logger.Error("records are not uploaded any more", "error", err)
		}
	}()
	return d, nil
}

// defaultDir is a folder of the service among the caches of the user, or among temporary files when there is no such place.
func defaultDir(service string) string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprint("user-", os.Getuid()))
	}
	return filepath.Join(base, "flux", "executions", filepath.Base(filepath.Clean("/"+service)))
}

func (d *delivery) begin(x *record.Execution) error { return d.journal.Begin(x) }

func (d *delivery) durable() bool { return true }

func (d *delivery) progress(x *record.Execution) error { return d.journal.Progress(x) }

func (d *delivery) intent(id record.ID, cp *record.Checkpoint) error { return d.journal.Intent(id, cp) }

func (d *delivery) outcome(id record.ID, cp *record.Checkpoint) error {
	return d.journal.Outcome(id, cp)
}

func (d *delivery) end(x *record.Execution, journalled bool) error {
	if journalled {
		return d.journal.End(x)
	}
	return d.journal.Append(record.Append(nil, x))
}

// close uploads what waits until ctx ends. What is left then is in the folder for the next process; that is no error.
func (d *delivery) close(ctx context.Context) error {
	d.journal.Seal()
	select {
	case <-d.done:
	case <-ctx.Done():
	}
	d.stop()
	<-d.done
	d.presence.leave(ctx)
	if d.remote != nil {
		d.remote.close()
	}
	return d.journal.Close()
}
