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
	run.stop(t) // at its end the program brings away what it has

	good, bad := s.recorded(t, "200"), s.recorded(t, "502")
	s.showsIn(t, good, "redis INCR orders → 1", "http GET "+s.provider.URL, "sql INSERT INTO orders", "→ 200  sync.(*WaitGroup).Go#2", `item="tea"`)
	asked := s.asked.Load()
	s.stopServices()
	for _, file := range []string{good, bad} {
		if report := s.replay(t, file); report.ExitCode() != 0 {
			t.Errorf("replay of %s: %s", file, report)
		}
	}
	if n := s.asked.Load(); n != asked {
		t.Errorf("replays asked the provider %d times", n-asked)
	}
}
