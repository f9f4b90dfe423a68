package lint

import (
	"fmt"
	"slices"
	"strings"
)

// A layer is a set of packages that may import the same things. Packages are folders relative to the root of the module;
// "engine/..." stands for engine and all below it.
type layer struct {
	name     string
	packages []string
}

// layers is the map of packages, from what everything rests on to the program. A package belongs to the first layer that
// names it. docs/design.md draws the same map with a sentence for each package.
var layers = []layer{
	{"message", []string{"message/..."}},
	{"api", []string{"api/..."}},
	{"sdk", []string{"."}},
	{"authoring", []string{"workflow/...", "execution/..."}},
	{"cluster", []string{"internal/engine/jetstream/..."}},
	{"engine", []string{"internal/engine/..."}},
	{"family", []string{
		"internal/messagelog/...", "internal/position/...", "internal/eventstore/...", "internal/keyvalue/...",
		"internal/producer/...", "internal/schedule/...", "internal/document/...", "internal/machine/...",
		"internal/recording/...",
	}},
	{"reader", []string{"internal/tracking/...", "internal/orchestrator/..."}},
	{"edge", []string{
		"internal/auth/...", "internal/native/...", "internal/capacitor/...", "internal/flipkart/...",
		"internal/webgateway/...", "internal/dashboard/...",
	}},
	{"server", []string{"server/..."}},
	{"analysis", []string{"internal/why/...", "internal/tracediff/...", "internal/blindspot/..."}}, // of records and programs, without any server
	{"cli", []string{"internal/cli/..."}},
	{"main", []string{"cmd/..."}},
	{"aside", []string{ // programs and tests that use the whole product, and the tools of this repository
		"fluxtest/...", "examples/...", "bench/...", "conformance/...", "internal/lint/...", "internal/protogen/...",
		"internal/testservices/...",
	}},
}

// outside names the modules that only some layers may use.
var outside = map[string]string{
	"pebble": "github.com/cockroachdb/pebble",
	"nats":   "github.com/nats-io",
}

// An arrow is a way that imports must not go.
type arrow struct {
	from   []string // layers
	never  []string // layers, or names of outside
	direct bool     // only imports in the package's own files count, not those it reaches through other packages
	why    string
}

var (
	client     = []string{"message", "api", "sdk", "authoring"}
	aboveSDK   = []string{"engine", "cluster", "family", "reader", "edge", "server", "cli", "main", "aside"}
	aboveStore = []string{"reader", "edge", "server", "cli", "main"}
)

var arrows = []arrow{
	{
		from: []string{"message"}, never: append([]string{"api", "sdk", "authoring"}, aboveSDK...),
		why: "every layer shares these words, so they rest on nothing",
	},
	{
		from: []string{"api"}, never: append([]string{"sdk", "authoring"}, aboveSDK...),
		why: "the schema is a contract for every language and knows no implementation",
	},
	{
		from: []string{"sdk", "authoring"}, never: aboveSDK,
		why: "a service that talks to Flux does not carry a server; who wants one in the process imports package server",
	},
	{
		from: client, never: []string{"pebble", "nats"},
		why: "how the server stores and replicates is not the client's to know, nor to link",
	},
	{
		from: []string{"engine", "cluster"}, never: append([]string{"family"}, aboveStore...),
		why: "the engine orders and writes; what an operation means is told to it by the families",
	},
	{
		from: []string{"family"}, never: aboveStore,
		why: "a family applies operations and answers reads; who waits for them is decided above it",
	},
	{
		from: []string{"reader"}, never: []string{"edge", "server", "cli", "main"},
		why: "a consumer is one thing, whichever protocol its trackers speak",
	},
	{
		from: []string{"edge"}, never: []string{"server", "cli", "main"},
		why: "edges are handed what they use; the server wires them",
	},
	{
		from: []string{"server"}, never: []string{"cli", "main"},
		why: "a program that embeds the server does not carry the command line",
	},
	{
		from: []string{"engine", "cluster", "family", "reader", "edge", "server"}, never: []string{"sdk", "aside"},
		why: "the SDK is a client of the server, and a server that is its own client goes in circles",
	},
	{
		from: []string{"cli"}, never: []string{"engine", "cluster", "family", "reader", "edge"}, direct: true,
		why: "the command line works with the server and with the SDK, as any other program does",
	},
	{
		from:  []string{"main"},
		never: []string{"message", "api", "sdk", "authoring", "engine", "cluster", "family", "reader", "edge", "server", "aside"}, direct: true,
		why: "main is one line that calls the command line",
	},
	{
		from: aboveStore, never: []string{"pebble"}, direct: true,
		why: "the store is reached through the engine and the families, or its layout has two owners",
	},
	{
		from: []string{"engine", "family", "reader", "edge", "server", "cli", "main"}, never: []string{"nats"}, direct: true,
		why: "JetStream is one of two journals, and only that journal knows it",
	},
}

// layerOf returns the name of the layer that a package of the module belongs to, empty when no layer names it.
func layerOf(folder string) string {
	for _, layer := range layers {
		if slices.ContainsFunc(layer.packages, func(pattern string) bool { return covers(pattern, folder) }) {
			return layer.name
		}
	}
	return ""
}

// covers reports whether path is what the pattern names: itself, or with "/..." at the end also all below it.
func covers(pattern, path string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return path == base || below && strings.HasPrefix(path, base+"/")
}

func checkLayers(m *Module) []Finding {
	var findings []Finding
	for _, folder := range m.packages() {
		if layerOf(folder) == "" {
			text := fmt.Sprintf("package %s is on no layer: give it one in internal/lint and a place in docs/design.md", folder)
			findings = append(findings, Finding{Path: folder, Text: text})
		}
	}
	return findings
}
