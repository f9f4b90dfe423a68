package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func backupCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE|DIR",
		Short: "Write a copy of the whole store while the server runs",
		Long: "Write a consistent copy of the whole store, all namespaces included, to a tar archive, while the server runs. In a " +
			"directory, the file gets a name with the time. A file appears only when it is complete. It is restored with flux restore.\n\n" +
			"With --json, one document: {\"file\",\"bytes\"}.",
		Example: "  flux backup flux.tar\n  flux backup /var/backups --url https://flux.example.com --token \"$ADMIN_TOKEN\"",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.backup(ctx, args[0]) }),
	}
	p.connection(cmd.Flags())
	return cmd
}

// archive is a backup as --json writes it.
type archive struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (p *program) backup(ctx context.Context, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, time.Now().UTC().Format("flux-20060102T150405Z")+".tar")
	} else if err == nil {
		return failf("name another file, or a directory", "%s exists already", path)
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	written, err := p.download(ctx, c, path)
	if err != nil {
		return err
	}
	if p.json {
		return p.out.printJSON(archive{path, written})
	}
	return p.out.printf("Wrote %s, %s.\n", path, size(written))
}

// download writes a backup to a file under a temporary name, and gives it its own when all of it is on disk.
func (p *program) download(ctx context.Context, c *client, path string) (written int64, err error) {
	stream, err := c.admin.Backup(ctx, connect.NewRequest(&fluxv1.BackupRequest{}))
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name()) // has no effect after the rename
	written, err = p.copyBackup(file, stream)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return 0, err
	}
	return written, os.Rename(file.Name(), path)
}

func (p *program) copyBackup(to io.Writer, stream *connect.ServerStreamForClient[fluxv1.BackupResponse]) (written int64, err error) {
	var bar *progress
	for stream.Receive() {
		part := stream.Msg()
		if bar == nil {
			bar = newProgress(p.err, "Backing up", int64(part.GetTotalBytes()), size[int64])
			defer bar.end()
		}
		n, err := to.Write(part.GetData())
		if err != nil {
			return written, err
		}
		written += int64(n)
		bar.set(written)
	}
	return written, stream.Err()
}
