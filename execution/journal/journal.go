package journal

import (
	"crypto/rand"
	"errors"
	"sync"

	"github.com/flux-go/flux/execution/record"
)

// Errors of a Journal.
var (
	ErrClosed   = errors.New("journal is closed")               // returned after Seal or Close
	ErrTooLarge = errors.New("execution is too large")          // returned for what does not fit a frame
	ErrNotBegun = errors.New("execution is not in the journal") // returned for steps before Begin and after End
)

// Config is how a journal is set up. The zero value is ready for use.
type Config struct {
	MaxBytes       int64 // of executions that wait for the server. Defaults to 256 MiB
	MaxMemoryBytes int64 // of those that could not be written yet. Defaults to 16 MiB
	SegmentBytes   int64 // above which a new file is begun. Defaults to 8 MiB

	fs fileSystem // Defaults to the disk
}

// WithDefaults returns a copy in which nothing is unset.
func (c *Config) WithDefaults() Config {
	out := Config{}
	if c != nil {
		out = *c
	}
	if out.MaxBytes <= 0 {
		out.MaxBytes = 256 << 20
	}
	if out.MaxMemoryBytes <= 0 {
		out.MaxMemoryBytes = 16 << 20
	}
	if out.SegmentBytes <= 0 {
		out.SegmentBytes = 8 << 20
	}
	if out.fs == nil {
		out.fs = disk{}
	}
	return out
}

// Stats says how a journal stands.
type Stats struct {
	Waiting      int   // executions that wait for the server
	WaitingBytes int64 // of them
	Unwritten    int64 // bytes of them that are only in memory

	DroppedFull    int64 // executions dropped because MaxBytes were waiting
	DroppedMemory  int64 // … because MaxMemoryBytes could not be written
	DroppedDamaged int64 // … because they could not be read from the disk
	DiskErrors     int64 // writes and syncs that failed
	Unreadable     int   // folders of dead processes that were left as they are, see Open
}

// A Journal is the open folder of this process. Its methods may be used concurrently, except that Next and Acknowledge are
// for one goroutine.
type Journal struct {
	config    Config
	folder    *folder
	recovered []*record.Execution

	wake chan struct{} // something is pending
	more chan struct{} // something may be there for Next
	done chan struct{} // the writer has ended

	writer writer // only the goroutine of the writer uses it

	mu struct {
		sync.Mutex
		queue     []*waiting // executions that are not acknowledged, oldest first; those on disk come before others
		taken     int        // how many of them Next returned last
		queued    int64      // bytes of them
		unwritten int64      // bytes of those that are not on disk
		pending   []*frame   // not written yet, in their order
		running   map[record.ID]*run
		segments  []*segment // all that are not removed
		adopted   []*folder  // of dead writers, with segments that are not removed
		stats     Stats
		sealed    bool // nothing comes any more
		stopping  bool // the writer ends when nothing is pending
	}
}

// frame is something to be written.
type frame struct {
	kind    kind
	id      record.ID
	payload []byte
	entry   *waiting   // of an execution that ended; payload is taken from it
	done    chan error // told once, when it is on disk or could not be written; nil when nobody waits
	isTold  bool
	at, end int64   // where it was written
	carried carried // where it was before, of frames that are written again
}

func (f *frame) isAwaited() bool { return f.done != nil && !f.isTold }

// Open opens a folder for this process in dir, which is created if needed, and takes over the folders of dead processes.
// Errors are those of the file system.
func Open(dir string, config *Config) (*Journal, error) {
	j := &Journal{
		config: config.WithDefaults(),
		wake:   make(chan struct{}, 1), more: make(chan struct{}, 1), done: make(chan struct{}),
	}
	j.mu.running = make(map[record.ID]*run)
	_, _ = rand.Read(j.writer.id[:]) // it never fails: see its documentation
	own, dead, err := claim(dir, j.writer.id)
	if err != nil {
		return nil, err
	}
	j.folder = own
	if err := j.roll(); err != nil {
		own.remove()
		for _, f := range dead {
			f.lock.Close()
		}
		return nil, err
	}
	go j.work()
	for _, f := range dead {
		j.takeOver(f)
	}
	signal(j.wake) // so that segments in which nothing waits are removed
	return j, nil
}

// Recovered returns the executions without an end that Open has found, as they were reported: crashed or interrupted, with
// writes in doubt. They also wait for the server.
func (j *Journal) Recovered() []*record.Execution { return j.recovered }

// Stats says how the journal stands.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.mu.stats
	s.Waiting, s.WaitingBytes, s.Unwritten = len(j.mu.queue), j.mu.queued, j.mu.unwritten
	return s
}

// Seal says that nothing comes any more: Next returns what waits and then io.EOF, all other methods but Acknowledge and Close
// return ErrClosed.
func (j *Journal) Seal() {
	j.mu.Lock()
	j.mu.sealed = true
	j.mu.Unlock()
	signal(j.more)
}

// Close seals the journal, writes what is only in memory, and gives the folder back. What was not acknowledged is there for the
// next process, executions that still run are interrupted. The error is that of the disk. Nobody may be in Next.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.mu.stopping {
		j.mu.Unlock()
		<-j.done
		return nil
	}
	j.mu.sealed, j.mu.stopping = true, true
	end := &frame{kind: kindClosed, done: make(chan error, 1)}
	j.mu.pending = append(j.mu.pending, end)
	j.mu.Unlock()
	signal(j.more)
	signal(j.wake)
	<-j.done
	j.leave()
	return <-end.done
}

// leave closes all files. Folders in which nothing waits are removed.
func (j *Journal) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.mu.queue {
		if e.segment == nil {
			j.mu.stats.DroppedMemory++
		}
	}
	folders := map[*folder]bool{j.folder: len(j.mu.queue) == 0 && len(j.mu.running) == 0}
	for _, s := range j.mu.segments {
		s.file.Close()
		if s.folder == j.folder && folders[j.folder] {
			_ = j.config.fs.remove(s.path())
		} else {
			folders[s.folder] = false
		}
	}
	for f, isEmpty := range folders {
		if isEmpty {
			f.remove()
		} else {
			f.lock.Close()
		}
	}
}

// signal wakes who waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
