package woven

import (
	"net/http"
	"os"
	"testing"

	"github.com/flux-go/flux/conformance/process"
)

func TestMain(m *testing.M) { process.Main(m) }

func TestProgramThatNeverImportsFluxIsRecordedAndReplayed(t *testing.T) {
	t.Parallel()
	if os.Getenv("FLUX_TEST_WOVEN") == "" {
		t.Skip("takes minutes the first time: make conformance-woven runs it")
	}
	s := newShop(t)
	s.keepsVersion(t, "github.com/klauspost/compress", "v1.17.9")
	run := s.start(t, "FLUX_URL="+s.server.URL, "FLUX_NAMESPACE=public", "FLUX_KEEP=all")
	if status, body := s.order(t, "tea", nil); status != http.StatusOK {
		t.Fatalf("order of tea: %d\n%s", status, body)
	}
	if status, body := s.order(t, "broken", nil); status != http.StatusBadGateway {
		t.Fatalf("order of what the provider does not have: %d\n%s", status, body)
	}
	if pieces := s.check(t, "tea"); pieces != 1 {
		t.Errorf("%d pieces of tea were ordered", pieces)
	}
	run.stop(t) // at its end the program brings away what it has

	files := []string{s.recorded(t, "/orders", http.StatusOK), s.recorded(t, "/orders", http.StatusBadGateway), s.recorded(t, "/Check", 0), s.recorded(t, "/Watch", 0)}
	s.showsIn(t, files[0], "redis INCR orders → 1", "http GET "+s.provider.URL, "sql INSERT INTO orders", "→ 200  sync.(*WaitGroup).Go#2", `item="tea"`,
		"grpc /grpc.health.v1.Health/Check", "postgres UPDATE reserved")
	s.showsIn(t, files[2], "redis INCR caller:test → 1", "postgres SELECT", "grpc /grpc.health.v1.Health/Check", `caller="test"`)
	s.showsIn(t, files[3], "postgres SELECT")
	asked := s.asked.Load()
	s.stopServices()
	for _, file := range files {
		s.replay(t, file)
	}
	if n := s.asked.Load(); n != asked {
		t.Errorf("replays asked the provider and the warehouse %d times", n-asked)
	}
}
