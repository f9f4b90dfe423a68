package flux_test

import (
	"context"
	"testing"
	"time"

	"github.com/flux-go/flux"
)

type stopNow struct{}

// A service and its server that are interrupted together: what the service would wait for never comes.
func TestRunEndsAtOnceWhenTheServerEndsToo(t *testing.T) {
	t.Parallel()
	server := startServer(t, "")
	app := connect(t, server.URL(), flux.Config{StopTimeout: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	flux.HandleEvent(app.Consumer("stopping", flux.Consumer{From: flux.Beginning}), func(context.Context, stopNow) error {
		cancel()
		return server.Shutdown(context.Background()) // so that the batch is settled when nobody is there to store its position
	})
	if err := flux.Publish(t.Context(), app, stopNow{}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("still running after a minute")
	}
}
