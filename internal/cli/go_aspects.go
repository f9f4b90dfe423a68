package cli

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// autoPackage is what programs are linked with.
const autoPackage = fluxModule + "/execution/auto"

// replacedCalls are the functions whose calls in the user's packages go to functions of package auto: by package, then by name.
// Other packages call the real ones, since a driver that keeps a pool, for one, calls the clock as often as it likes.
var replacedCalls = map[string]map[string]string{
	"time": {"Now": "Now", "Since": "Since", "Until": "Until", "Sleep": "Sleep", "After": "After"},
	"os":   {"Getenv": "Getenv", "LookupEnv": "LookupEnv", "Exit": "Exit"},
	"math/rand": prefixed("Old", "Int", "Intn", "Int31", "Int31n", "Int63", "Int63n", "Uint32", "Uint64", "Float32", "Float64",
		"ExpFloat64", "NormFloat64", "Perm", "Shuffle"),
	"math/rand/v2": prefixed("", "Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint", "UintN", "Uint32", "Uint32N", "Uint64",
		"Uint64N", "Float32", "Float64", "ExpFloat64", "NormFloat64", "Perm", "Shuffle", "N"),
	"crypto/rand": prefixed("Secret", "Read", "Int", "Text"),
}

func prefixed(prefix string, names ...string) map[string]string {
	calls := make(map[string]string, len(names))
	for _, name := range names {
		calls[name] = prefix + name
	}
	return calls
}

// importingCalls are functions that package auto, or one below it, changes from within. A package that calls them imports that
// one, so that it is initialized first: databases, clients and loggers are often made in variables.
var importingCalls = map[string][]string{
	autoPackage: {"database/sql.Open", "database/sql.OpenDB", "log/slog.New", "log/slog.Default", "log/slog.SetDefault"},
	autoPackage + "/autoredis": {
		"github.com/redis/go-redis/v9.NewClient", "github.com/redis/go-redis/v9.NewFailoverClient", "github.com/redis/go-redis/v9.NewRing",
		"github.com/redis/go-redis/v9.NewClusterClient", "github.com/redis/go-redis/v9.NewUniversalClient",
	},
	autoPackage + "/autopgx": {
		"github.com/jackc/pgx/v5.Connect", "github.com/jackc/pgx/v5.ConnectConfig", "github.com/jackc/pgx/v5.ConnectWithOptions",
		"github.com/jackc/pgx/v5/pgxpool.New", "github.com/jackc/pgx/v5/pgxpool.NewWithConfig",
	},
	autoPackage + "/autogrpc": {
		"google.golang.org/grpc.NewClient", "google.golang.org/grpc.Dial", "google.golang.org/grpc.DialContext", "google.golang.org/grpc.NewServer",
	},
}

// ownPackages are those of Flux that package auto needs, which cannot need it.
var ownPackages = []string{fluxModule, fluxModule + "/api/**", fluxModule + "/execution/**", fluxModule + "/message/**", fluxModule + "/internal/**"}

// callAspects returns the aspects for the calls in the packages of some modules, as orchestrion reads them. Of the libraries, it
// has those of the packages that are woven.
func callAspects(modules []module, libraries []string) string {
	var text strings.Builder
	text.WriteString("meta: {name: flux go, description: Calls in the packages of the program.}\naspects:\n")
	where := "package-filter: {pattern: \"[\"}"
	if len(modules) > 0 {
		where = packagesOf(modules)
	}
	for _, from := range slices.Sorted(maps.Keys(replacedCalls)) {
		for _, name := range slices.Sorted(maps.Keys(replacedCalls[from])) {
			advice := fmt.Sprintf("replace-function: %s.%s", autoPackage, replacedCalls[from][name])
			text.WriteString(callAspect(where, from+"."+name, advice))
		}
	}
	for _, by := range append([]string{autoPackage}, libraries...) {
		for _, call := range importingCalls[by] {
			text.WriteString(callAspect(where, call, "add-blank-import: "+by))
		}
	}
	return text.String()
}

func callAspect(where, call, advice string) string {
	return fmt.Sprintf("  - id: %s\n    join-point: {all-of: [%s, {function-call: %s}]}\n    advice: [%s]\n", call, where, call, advice)
}

// packagesOf returns the join point of all packages of the modules, but for those of ours that must not be woven.
func packagesOf(modules []module) string {
	var in, out []string
	for _, m := range modules {
		in = append(in, filter(m.Path), filter(path.Join(m.Path, "**")))
	}
	for _, own := range ownPackages {
		out = append(out, filter(own))
	}
	return fmt.Sprintf("{one-of: [%s]}, {not: {one-of: [%s]}}", strings.Join(in, ", "), strings.Join(out, ", "))
}

func filter(pattern string) string { return fmt.Sprintf("{package-filter: %q}", pattern) }

// A library is one that is recorded, when it is among the modules of a program.
type library struct {
	by     string // the package with its aspects
	oldest string // version that package compiles with
}

// libraryPackages are the packages with aspects of a library, by the library's module.
var libraryPackages = map[string]library{
	"github.com/jackc/pgx/v5":      {autoPackage + "/autopgx", "v5.9.0"},
	"github.com/redis/go-redis/v9": {autoPackage + "/autoredis", "v9.19.0"},
	"google.golang.org/grpc":       {autoPackage + "/autogrpc", "v1.63.0"},
}

// woven returns the packages with aspects of those libraries that are among some modules, and what is to be said of those that
// are too old for that. Modules are given by path with their version.
func woven(modules map[string]string) (packages []string, notes string) {
	for _, path := range slices.Sorted(maps.Keys(libraryPackages)) {
		version, l := modules[path], libraryPackages[path]
		switch {
		case version == "":
		case semver.Compare(version, l.oldest) < 0:
			notes += fmt.Sprintf("%s %s is not recorded: that needs %s or later.\n", path, version, l.oldest)
		default:
			packages = append(packages, l.by)
		}
	}
	return packages, notes
}

// toolFile names the packages whose aspects are woven: ours, and those of libraries.
func toolFile(libraries []string) string {
	text := "//go:build tools\n\npackage tools\n\nimport _ \"" + autoPackage + "\"\n"
	for _, by := range libraries {
		text += "import _ \"" + by + "\"\n"
	}
	return text
}

// driverAnswer is the package in whose directory orchestrion looks for aspects.
func driverAnswer(file string) string {
	return fmt.Sprintf(`{"Roots":["aspects"],"Packages":[{"ID":"aspects","Name":"tools","PkgPath":"flux.invalid/woven","IgnoredFiles":[%q]}]}`, file)
}

// driverScript answers the question of orchestrion for the package of the directory of go.mod: which files it has (mode 3), and
// nothing else.
const driverScript = `#!/bin/sh
question=$(cat)
case "$*" in
. | %s)
	case "$question" in
	*'"mode":3,'*) exec cat %s ;;
	esac
	;;
esac
echo '{"NotHandled":true}'
`

// plainScript runs a test in the environment that it would have without us.
const plainScript = `#!/bin/sh
unset GOWORK GOPACKAGESDRIVER DD_ORCHESTRION_IS_GOMOD_VERSION ORCHESTRION_JOBSERVER_URL
exec "$@"
`

// shellQuote quotes a text for sh.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
