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
//   - Tables must be readable once written, so they cannot be pretended. Who writes one waits for ever, holding nothing that
//     readers need. Open and Close leave Pebble behind when it waits for that.
//
// Only files right in the directory of the store are its own. Others, such as those of a checkpoint, fail as usual.
type disk struct {
	vfs.FS
	dir     string
	failure *failure
	lock    io.Closer
	// readOnly says that no file may be added.
	readOnly bool

	waiting  chan struct{} // closed when somebody waits for ever
	waitOnce sync.Once
}

func newDisk(fs vfs.FS, dir string, f *failure) *disk {
	return &disk{FS: fs, dir: dir, failure: f, waiting: make(chan struct{})}
}

// unlessWaiting calls f, which opens or closes Pebble. When somebody waits for ever it returns the failure instead. Pebble then
// keeps some memory, but writes nothing, and the store is unlocked.
func (d *disk) unlessWaiting(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-d.waiting:
		return errors.Join(d.failure.get(), d.lock.Close())
	}
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
	default:
		file = vfs.NewMemFile(nil)
	}
	return &diskFile{File: file, disk: d, table: table}, nil
}

func (d *disk) wait() {
	d.waitOnce.Do(func() { close(d.waiting) })
	select {}
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

// Lock locks the store for this process. A store without the file that is locked, such as a copy of the other files, has
// nobody who writes it; whoever only reads it must not add the file.
func (d *disk) Lock(name string) (io.Closer, error) {
	if d.readOnly {
		if _, err := d.Stat(name); errors.Is(err, fs.ErrNotExist) {
			d.lock = io.NopCloser(nil)
			return d.lock, nil
		}
	}
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

func (f *diskFile) write(change func() error) {
	if !f.disk.write(change) && f.table {
		f.disk.wait()
	}
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.write(func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	f.write(func() error { _, err := f.File.WriteAt(p, at); return err })
	return len(p), nil
}

func (f *diskFile) Sync() error {
	f.write(f.File.Sync)
	return nil
}

func (f *diskFile) SyncData() error {
	f.write(f.File.SyncData)
	return nil
}

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	f.write(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, nil
}

// Close gives the file back in any case.
func (f *diskFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.write(func() error { return err })
	}
	return nil
}
