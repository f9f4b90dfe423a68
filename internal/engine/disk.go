package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system as Pebble sees it. When a write fails, Pebble ends the process, or panics with its locks held, or
// tries again without end and without a pause. A server that is to go on reading can do with none of these. So the first
// failure to write a file of the store stops the disk:
//
//   - The files stay as they are, as after a power cut at that moment. Nothing is written, renamed or removed any more.
//   - Writing the log and the manifest appears to succeed. Nobody is told that it did: the failure is set before Pebble goes
//     on, and whoever answers a caller looks at it.
//   - Tables must be readable once written, so they cannot be pretended. Who creates one waits until the engine closes.
//
// Only files right in the directory of the store are its own. Others, such as those of a checkpoint, fail as usual.
type disk struct {
	vfs.FS
	dir     string
	failure *failure

	waiting  chan struct{} // closed when somebody waits to create a table
	waitOnce sync.Once
	released chan struct{} // closed when nobody must wait any more
	lock     io.Closer
}

var errStopped = errors.New("the store has stopped writing")

func newDisk(fs vfs.FS, dir string, f *failure) *disk {
	return &disk{FS: fs, dir: dir, failure: f, waiting: make(chan struct{}), released: make(chan struct{})}
}

func (d *disk) own(name string) bool { return name == d.dir || d.PathDir(name) == d.dir }

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// write makes a change to the store's own files unless the disk has stopped, and stops it when the change fails. It reports
// whether the change was made.
func (d *disk) write(change func() error) bool {
	if d.failure.get() != nil {
		return false
	}
	err := change()
	if err != nil {
		d.failure.set(err)
	}
	return err == nil
}

// openFor opens a file for writing.
func (d *disk) openFor(name string, open func() (vfs.File, error)) (file vfs.File, err error) {
	if !d.own(name) {
		return open()
	}
	table := isTable(name)
	switch {
	case d.write(func() error { file, err = open(); return err }):
	case table:
		d.wait()
		return nil, errStopped
	default:
		file = vfs.NewMemFile(nil)
	}
	return &diskFile{File: file, disk: d, table: table}, nil
}

// wait blocks until the engine closes.
func (d *disk) wait() {
	d.waitOnce.Do(func() { close(d.waiting) })
	<-d.released
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.openFor(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.openFor(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, o...) })
}

func (d *disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.openFor(newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, c) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	file, err := d.FS.OpenDir(name)
	if err != nil || !d.own(name) {
		return file, err
	}
	return &diskFile{File: file, disk: d}, nil
}

func (d *disk) Link(oldname, newname string) error {
	if !d.own(newname) {
		return d.FS.Link(oldname, newname)
	}
	d.write(func() error { return d.FS.Link(oldname, newname) })
	return nil
}

func (d *disk) Rename(oldname, newname string) error {
	if !d.own(newname) {
		return d.FS.Rename(oldname, newname)
	}
	d.write(func() error { return d.FS.Rename(oldname, newname) })
	return nil
}

// Remove of a file that is not needed any more may fail without harm.
func (d *disk) Remove(name string) error {
	if d.own(name) && d.failure.get() != nil {
		return nil
	}
	return d.FS.Remove(name)
}

// Lock locks the store for this process.
func (d *disk) Lock(name string) (io.Closer, error) {
	lock, err := d.FS.Lock(name)
	switch {
	case err == nil:
		d.lock = lock
	case !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return lock, err
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is a file of the store that is written, or its directory.
type diskFile struct {
	vfs.File
	disk  *disk
	table bool
}

func (f *diskFile) write(change func() error) error {
	if !f.disk.write(change) && f.table {
		return errStopped
	}
	return nil
}

func (f *diskFile) Write(p []byte) (int, error) {
	err := f.write(func() error { _, err := f.File.Write(p); return err })
	return len(p), err
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	err := f.write(func() error { _, err := f.File.WriteAt(p, at); return err })
	return len(p), err
}

func (f *diskFile) Sync() error     { return f.write(f.File.Sync) }
func (f *diskFile) SyncData() error { return f.write(f.File.SyncData) }

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.write(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close gives the file back in any case.
func (f *diskFile) Close() error {
	if err := f.File.Close(); err != nil {
		return f.write(func() error { return err })
	}
	return nil
}
