package cli

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/server"
)

func serveCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server on a directory, until interrupted; a second interrupt ends it at once. Nothing is lost either way: " +
			"what was acknowledged is on disk.\n\n" +
			"It tells on the standard error where it listens. With --json, it writes one document to the standard output when it is ready, " +
			"{\"url\",\"data\"}, and its log as lines of JSON to the standard error.",
		Example: "  flux serve\n  flux serve --data /var/lib/flux --listen 0.0.0.0:8888 --tokens tokens.json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.serve(ctx, p.data) }),
	}
	p.server(cmd.Flags())
	p.store(cmd.Flags())
	return cmd
}

func devCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a server in memory, to try things out",
		Long: "Run a server that keeps everything in memory and forgets it at the end.\n\n" +
			"It tells on the standard error where it listens. With --json, it writes one document to the standard output when it is ready, " +
			"{\"url\"}, and its log as lines of JSON to the standard error.",
		Example: "  flux dev\n  flux dev --listen 127.0.0.1:0 --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.serve(ctx, "") }),
	}
	p.server(cmd.Flags())
	return cmd
}

// stopTimeout is how long a server that was interrupted may take to finish what it has in hand.
const stopTimeout = 20 * time.Second

// serve runs a server on a directory, or in memory when that is empty, until ctx ends.
func (p *program) serve(ctx context.Context, dir string) error {
	lasting := context.WithoutCancel(ctx) // the end of ctx stops it below, within a time
	s, err := server.Start(lasting, server.Config{
		Dir: dir, Listen: p.listen, TokensFile: p.tokens, Insecure: p.insecure, OpenMetrics: p.openMetrics,
		MaxMessageBytes: int(p.maxMessageBytes), CacheBytes: int64(p.cacheBytes), RetentionEvery: p.retentionEvery,
		Logger: p.logger(),
	})
	switch {
	case errors.Is(err, server.ErrBadConfig):
		return usagef("see flux serve --help for what the settings take", "%w", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return failf("listen elsewhere with --listen; port 0 takes a free one", "%w", err)
	case err != nil:
		return err
	}
	if err := p.announce(s.URL(), dir); err != nil {
		return errors.Join(err, s.Shutdown(lasting))
	}
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	stopping, cancel := context.WithTimeout(lasting, stopTimeout)
	defer cancel()
	return s.Shutdown(stopping)
}

// announce tells where the server listens.
func (p *program) announce(url, dir string) error {
	if p.json {
		ready := struct {
			URL  string `json:"url"`
			Data string `json:"data,omitempty"`
		}{url, dir}
		return p.out.printJSON(ready)
	}
	kept := "everything in memory"
	if dir != "" {
		kept = "data in " + dir
	}
	return p.err.printf("Flux listens on %s, %s. Ctrl-C stops it.\n", p.err.bold(url), kept)
}

// logger writes what the server has to say to stderr.
func (p *program) logger() *slog.Logger {
	if p.json {
		return slog.New(slog.NewJSONHandler(p.err, nil))
	}
	return slog.New(slog.NewTextHandler(p.err, nil))
}
