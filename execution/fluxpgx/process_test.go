package fluxpgx_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// TestStartOfAProcessIsReplayed replays as flux replay does: what the program reads before its first execution is answered, too.
func TestStartOfAProcessIsReplayed(t *testing.T) {
	config := parse(t, testservices.Postgres(t))
	p := program{"start", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var version string
		err := db.QueryRow(ctx, "SELECT 'v' || $1::int", 7).Scan(&version)
		return version, err
	}}
	live := runLive(t, config, p) // its record serves as that of the start, too
	if live.err != nil {
		t.Fatal(live.err)
	}
	dir := t.TempDir()
	bundle, control := filepath.Join(dir, "x.fluxrec"), filepath.Join(dir, "control")
	file, err := os.Create(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if err := record.WriteBundle(file, &record.Bundle{Execution: live.x, Boot: live.x}); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(execution.Control{Bundle: bundle, Report: filepath.Join(dir, "report")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(control, data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(execution.EnvReplay, control)
	again, err := execution.Connect(execution.Config{Service: "suite"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(context.Background())
	value, err := p.run(t.Context(), open(t, fluxpgx.PoolConfig(again, offline(t, config))))
	if value != live.value || err != nil {
		t.Errorf("replayed: %v, %v", value, err)
	}
}
