package lint

import (
	"bytes"
	"maps"
	"slices"

	"golang.org/x/mod/modfile"
)

// designPage is where a reader finds why a dependency is there and what was not taken.
const designPage = "docs/design.md"

// dependencies is the reviewed list of modules that our own files import or that go.mod names as tools, with what each is
// for. All others come with these.
var dependencies = map[string]string{
	"connectrpc.com/connect":              "native API: gRPC, gRPC-Web and JSON on one port, and its code generator",
	"github.com/anishathalye/porcupine":   "tests: linearizability of recorded histories",
	"github.com/bufbuild/protocompile":    "build: reads .proto files, so that generating code needs only Go",
	"github.com/cockroachdb/datadriven":   "tests: commands and readable state in testdata",
	"github.com/cockroachdb/pebble/v2":    "ordered store and write-ahead log",
	"github.com/coder/websocket":          "websockets of the Flux Capacitor protocol",
	"github.com/go-json-experiment/json":  "SDK: payloads of messages, in a third of the time of encoding/json",
	"github.com/go-sql-driver/mysql":      "tests: a third driver of database/sql, with another protocol, for the recording of executions",
	"github.com/google/uuid":              "ids of recorded executions' random sources, in the type that programs use",
	"github.com/klauspost/compress":       "s2 (Snappy) and zstd, compression of blocks; gzip and zstd of the Flux Capacitor protocol",
	"github.com/jackc/pgx/v5":             "adapter of recorded executions; bench: client of PostgreSQL, the peer of the event store",
	"github.com/nats-io/nats-server/v2":   "bench: JetStream, the peer we measure against, in the same process",
	"github.com/nats-io/nats.go":          "bench: client of the peer",
	"github.com/pierrec/lz4/v4":           "compression of blocks",
	"github.com/prometheus/client_golang": "metrics",
	"github.com/redis/go-redis/v9":        "adapter of recorded executions for the Redis client that most services use",
	"github.com/rogpeppe/go-internal":     "tests: txtar scripts that use the binary as a person would",
	"github.com/spf13/cobra":              "command line",
	"github.com/spf13/pflag":              "command line: the flags of cobra, to fill them from file and environment",
	"go.yaml.in/yaml/v3":                  "configuration file",
	"golang.org/x/mod":                    "house rules, flux go: reads go.mod, compares versions",
	"golang.org/x/sync":                   "groups of goroutines that end together",
	"golang.org/x/term":                   "command line: is this a terminal, and how wide",
	"golang.org/x/tools":                  "house rules: txtar archives of code that breaks them",
	"google.golang.org/grpc":              "adapter of recorded executions, for services that use grpc-go",
	"google.golang.org/protobuf":          "native API: messages of the schema, and their code generator",
	"modernc.org/sqlite":                  "tests and the webhooks example: a second driver of database/sql, in Go alone",
	"honnef.co/go/tools":                  "tool: staticcheck",
	"mvdan.cc/gofumpt":                    "tool: one way to format",
	"pgregory.net/rapid":                  "tests: random operation sequences that shrink",
}

// checkDependencies compares the modules in use with the reviewed list and with the page that explains them.
func checkDependencies(m *Module) []Finding {
	design := m.file(designPage)
	var findings []Finding
	for _, path := range m.directDependencies() {
		if dependencies[path] == "" {
			findings = append(findings, Finding{Path: "go.mod", Text: path + " is not on the reviewed list in internal/lint"})
		}
		if design == nil || !bytes.Contains(design.Content, []byte(path)) {
			findings = append(findings, Finding{Path: designPage, Text: path + " is not explained"})
		}
	}
	return findings
}

// directDependencies returns the modules that the module's own files import and those of its tools, sorted. The
// "// indirect" comments of go.mod are no help: the go command keeps them up to date only when it tidies.
func (m *Module) directDependencies() []string {
	direct := map[string]bool{}
	add := func(path string) {
		if module := moduleOf(path, m.Mod.Require); module != "" {
			direct[module] = true
		}
	}
	for _, tool := range m.Mod.Tool {
		add(tool.Path)
	}
	for _, file := range m.Files {
		if !file.isGo() {
			continue
		}
		for _, path := range file.imports() {
			add(path)
		}
	}
	return slices.Sorted(maps.Keys(direct))
}

// moduleOf returns the required module that holds a package, empty when none does. Modules nest: the longest path wins.
func moduleOf(pkg string, required []*modfile.Require) string {
	longest := ""
	for _, require := range required {
		if covers(require.Mod.Path+"/...", pkg) && len(require.Mod.Path) > len(longest) {
			longest = require.Mod.Path
		}
	}
	return longest
}
