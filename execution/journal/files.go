package journal

import (
	"io"
	"os"
	"runtime"
)

// fileSystem is what a journal needs of the disk, so that tests can let it fail.
type fileSystem interface {
	create(name string) (file, error) // a new file, empty
	open(name string) (file, error)   // for reading
	remove(name string) error
	syncFolder(name string) error // what was created and removed in it survives a power cut
}

type file interface {
	io.WriterAt
	io.ReaderAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// disk is the fileSystem of the operating system.
type disk struct{}

func (disk) create(name string) (file, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}
func (disk) open(name string) (file, error) { return os.Open(name) }
func (disk) remove(name string) error       { return os.Remove(name) }

func (disk) syncFolder(name string) error {
	if runtime.GOOS == "windows" { // which has no such thing: its file system keeps names in a journal of its own
		return nil
	}
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
