package engine

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// StoreVersion is the format of the stores that this binary writes.
const StoreVersion = storeVersion

// Backup is a consistent copy of the durable store. It must be closed.
type Backup struct {
	fs    vfs.FS
	dir   string
	files []backupFile
}

type backupFile struct {
	name string
	size int64
}

// Backup copies the durable store while the engine runs, to a directory that is removed by Close. The copy shares the files
// that do not change any more with the store, so that it is quick and small at first.
func (e *Engine) Backup(dir string) (*Backup, error) {
	if err := e.Checkpoint(dir); err != nil {
		return nil, err
	}
	b := &Backup{fs: e.options.FS, dir: dir}
	if err := b.list(); err != nil {
		return nil, errors.Join(fmt.Errorf("backup in %s: %w", dir, err), b.Close())
	}
	return b, nil
}

func (b *Backup) list() error {
	names, err := b.fs.List(b.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := b.fs.Stat(b.fs.PathJoin(b.dir, name))
		if err != nil {
			return err
		}
		b.files = append(b.files, backupFile{name, info.Size()})
	}
	return nil
}

// SizeBytes is the length of the archive that WriteTar writes.
func (b *Backup) SizeBytes() int64 {
	const block, end = 512, 1024 // of a tar archive
	total := int64(end)
	for _, file := range b.files {
		total += block + (file.size+block-1)/block*block
	}
	return total
}

// WriteTar writes the copy as a tar archive: unpacked into an empty directory, it is a store. It ends early with ctx.
func (b *Backup) WriteTar(ctx context.Context, to io.Writer) error {
	archive := tar.NewWriter(to)
	for _, file := range b.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.writeFile(archive, file); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (b *Backup) writeFile(archive *tar.Writer, file backupFile) error {
	from, err := b.fs.Open(b.fs.PathJoin(b.dir, file.name), vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: file.name, Mode: 0o644, Size: file.size, Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return errors.Join(err, from.Close())
	}
	_, err = io.CopyN(archive, from, file.size)
	return errors.Join(err, from.Close())
}

// Close removes the copy.
func (b *Backup) Close() error { return b.fs.RemoveAll(b.dir) }
