package native

import (
	"bufio"
	"context"
	"fmt"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
)

// adminService serves fluxv1connect.AdminServiceHandler.
type adminService struct{ *Service }

// Info serves the procedure of this name.
func (s adminService) Info(ctx context.Context, _ *connect.Request[fluxv1.InfoRequest]) (*connect.Response[fluxv1.InfoResponse], error) {
	out := &fluxv1.InfoResponse{
		Version: s.version, StoreVersion: engine.StoreVersion, Started: s.started.UnixMilli(),
		DiskBytes: s.engine.Metrics().DiskBytes,
	}
	if err := s.engine.Err(); err != nil {
		out.ReadOnlyReason = err.Error()
	}
	view := s.engine.View()
	defer view.Close()
	namespaces, err := view.Namespaces()
	if err != nil {
		return nil, err
	}
	for _, ns := range namespaces {
		out.Namespaces = append(out.Namespaces, string(ns))
	}
	_, trackers, err := s.CountConsumers(ctx)
	out.Trackers = int32(trackers)
	return connect.NewResponse(out), err
}

// CountConsumers returns how many consumers and trackers there are in all namespaces.
func (s *Service) CountConsumers(ctx context.Context) (consumers, trackers int, err error) {
	view := s.engine.View()
	defer view.Close()
	namespaces, err := view.Namespaces()
	if err != nil {
		return 0, 0, err
	}
	for _, ns := range namespaces {
		infos, err := s.tracking.Consumers(ctx, ns, nil)
		if err != nil {
			return 0, 0, err
		}
		consumers += len(infos)
		for _, info := range infos {
			trackers += len(info.Trackers)
		}
	}
	return consumers, trackers, nil
}

// backupPartBytes is how much of a backup a response carries.
const backupPartBytes = 256 << 10

// Backup serves the procedure of this name. There is one backup at a time, for each needs space on the disk.
func (s adminService) Backup(
	ctx context.Context, _ *connect.Request[fluxv1.BackupRequest], stream *connect.ServerStream[fluxv1.BackupResponse],
) error {
	if !s.backingUp.TryLock() {
		return hinted{engine.Conflict("another backup is under way"), "wait until it is done"}
	}
	defer s.backingUp.Unlock()
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	backup, err := s.engine.Backup(s.backupDir)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(&backupWriter{stream, uint64(backup.SizeBytes())}, backupPartBytes)
	if err = backup.WriteTar(ctx, out); err == nil {
		err = out.Flush()
	}
	if closeErr := backup.Close(); closeErr != nil {
		s.logger.Warn("removing the copy of a backup", "error", closeErr)
	}
	return causeOf(ctx, err)
}

// backupWriter sends what is written, and the size of it all with the first part.
type backupWriter struct {
	stream *connect.ServerStream[fluxv1.BackupResponse]
	total  uint64
}

func (w *backupWriter) Write(p []byte) (int, error) {
	if err := w.stream.Send(&fluxv1.BackupResponse{Data: p, TotalBytes: w.total}); err != nil {
		return 0, fmt.Errorf("send backup: %w", err)
	}
	w.total = 0
	return len(p), nil
}
