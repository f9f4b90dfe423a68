package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func restoreCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a store from a backup",
		Long: "Make a store from what flux backup wrote, in a directory that is empty or does not exist, and verify it as flux check does. " +
			"When anything is wrong, the directory is left empty.\n\n" +
			checkNote,
		Example: "  flux restore flux.tar\n  flux restore flux.tar --data /var/lib/flux",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.restore(ctx, args[0]) }),
	}
	p.store(cmd.Flags())
	return cmd
}

func (p *program) restore(ctx context.Context, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := wantWhole(file, info.Size()); err != nil {
		return err
	}
	if err := wantEmpty(p.data); err != nil {
		return err
	}
	if err := os.MkdirAll(p.data, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, empty(p.data))
		}
	}()
	bar := newProgress(p.err, "Restoring", info.Size(), size[int64])
	err = unpack(ctx, &meter{file, bar, 0}, p.data)
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return p.check(ctx, p.data)
}

// tarEndBytes is the size of the zeros that end a tar archive.
const tarEndBytes = 1024

// wantWhole returns an error unless an archive has its end. Package tar also takes one that was cut off between two files.
func wantWhole(archive *os.File, size int64) error {
	end := make([]byte, tarEndBytes)
	if _, err := archive.ReadAt(end, max(0, size-tarEndBytes)); err != nil && err != io.EOF {
		return err
	}
	if size < tarEndBytes || len(bytes.Trim(end, "\x00")) > 0 {
		return fmt.Errorf("%s: not a whole tar archive", archive.Name())
	}
	return nil
}

// wantEmpty returns an error unless a directory is empty or does not exist.
func wantEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return failf("restore to another directory with --data", "%s is not empty", dir)
	}
	return nil
}

// empty removes everything in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

// unpack writes the files of a tar archive below a directory, and nowhere else whatever their names are.
func unpack(ctx context.Context, archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := tar.NewReader(archive)
	for n := 0; ; n++ {
		header, err := files.Next()
		switch {
		case err == io.EOF && n > 0:
			return nil
		case err == io.EOF:
			return errors.New("the archive is empty")
		case err != nil:
			return fmt.Errorf("not a whole tar archive: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if err := unpackEntry(root, header, files); err != nil {
			return err
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.FromSlash(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(filepath.Clean(name), 0o755)
	case tar.TypeReg:
	default:
		return fmt.Errorf("%s is neither a file nor a directory", header.Name)
	}
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Sync(), file.Close())
}

// meter tells a progress bar how much was read.
type meter struct {
	io.Reader
	bar  *progress
	read int64
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.read += int64(n)
	m.bar.set(m.read)
	return n, err
}
