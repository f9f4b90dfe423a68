package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// settings are what flags, the environment and a file may set, under the same names: --max-message-bytes,
// FLUX_MAX_MESSAGE_BYTES and max-message-bytes. A flag wins over the environment, which wins over the file, which wins
// over the default.
type settings struct {
	configFile string

	// How to reach a server.
	url, token, namespace string

	// How to run one.
	data, listen, tokens        string
	insecure, openMetrics       bool
	maxMessageBytes, cacheBytes byteSize
	retentionEvery              time.Duration

	// origin tells where settings came from that are not defaults: "file", "environment" or "flag".
	origin map[string]string
}

// connection adds the flags that say how to reach a server.
func (s *settings) connection(flags *pflag.FlagSet) {
	flags.StringVar(&s.url, "url", "http://127.0.0.1:8888", "`address` of the server")
	flags.StringVar(&s.token, "token", "", "`token` that the server knows")
	flags.StringVar(&s.namespace, "namespace", "public", "`name` of the namespace to work in")
	markSettings(flags, "url", "token", "namespace")
}

// server adds the flags that say how to run a server.
func (s *settings) server(flags *pflag.FlagSet) {
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8888", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&s.tokens, "tokens", "", "`file` with the tokens that clients may use; without it everybody may do everything")
	flags.BoolVar(&s.insecure, "insecure", false, "allow others than this machine to connect without tokens")
	flags.BoolVar(&s.openMetrics, "open-metrics", false, "serve /metrics without a token, too")
	s.maxMessageBytes, s.cacheBytes = 64<<20, 64<<20
	flags.Var(&s.maxMessageBytes, "max-message-bytes", "largest message that is taken, 1KiB to 128MiB")
	flags.Var(&s.cacheBytes, "cache-bytes", "memory for the cache of the store")
	flags.DurationVar(&s.retentionEvery, "retention-every", time.Minute, "how often messages beyond their retention are deleted")
	markSettings(flags, "listen", "tokens", "insecure", "open-metrics", "max-message-bytes", "cache-bytes", "retention-every")
}

// store adds the flag that says where the server keeps its data.
func (s *settings) store(flags *pflag.FlagSet) {
	flags.StringVar(&s.data, "data", "./flux-data", "`directory` of the store; it is created if need be")
	markSettings(flags, "data")
}

// settingMark is the annotation of flags that are settings. Others may have the name of one, such as --data of the demo.
const settingMark = "flux_setting"

func markSettings(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		must(flags.SetAnnotation(name, settingMark, []string{"true"}))
	}
}

func isSetting(flag *pflag.Flag) bool { return flag.Annotations[settingMark] != nil }

// all returns flags for every setting there is.
func (s *settings) all() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.connection(flags)
	s.server(flags)
	s.store(flags)
	return flags
}

// load gives each setting among flags that is not on the command line its value from the environment or the file.
func (s *settings) load(flags *pflag.FlagSet) error {
	if s.configFile == "" {
		s.configFile = os.Getenv("FLUX_CONFIG")
	}
	file, err := readSettings(s.configFile)
	if err != nil {
		return err
	}
	s.origin = map[string]string{}
	var errs []error
	flags.VisitAll(func(flag *pflag.Flag) {
		if isSetting(flag) {
			errs = append(errs, s.set(flag, file))
		}
	})
	return errors.Join(errs...)
}

// set gives one setting its value and notes where it came from.
func (s *settings) set(flag *pflag.Flag, file map[string]string) error {
	if flag.Changed {
		s.origin[flag.Name] = "flag"
		return nil
	}
	origin, name := "environment", environmentName(flag.Name)
	value, found := os.LookupEnv(name)
	if !found {
		origin, name = "file", flag.Name+" in "+s.configFile
		if value, found = file[flag.Name]; !found {
			return nil
		}
	}
	if err := flag.Value.Set(value); err != nil {
		return fmt.Errorf("%s: %q: %w", name, value, err)
	}
	s.origin[flag.Name] = origin
	return nil
}

func environmentName(setting string) string {
	return "FLUX_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// readSettings reads a file of settings, YAML or JSON, which is YAML too. Keys that are no settings are errors.
func readSettings(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(raw, &nodes); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	known := new(settings).all()
	values := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		node := nodes[key]
		switch {
		case known.Lookup(key) == nil:
			return nil, fmt.Errorf("%s: line %d: unknown setting %q; known are %s", path, node.Line, key, settingNames(known))
		case node.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("%s: line %d: %s takes a single value", path, node.Line, key)
		}
		values[key] = node.Value
	}
	return values, nil
}

func settingNames(flags *pflag.FlagSet) string {
	var names []string
	flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return strings.Join(names, ", ")
}

// byteSize is a number of bytes that may be written with a unit: 64MiB.
type byteSize int64

var byteUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	for _, unit := range byteUnits {
		number, found := strings.CutSuffix(strings.TrimSpace(text), unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > (1<<62)/unit.bytes {
			break
		}
		*b = byteSize(n * unit.bytes)
		return nil
	}
	return errors.New("want a number of bytes, such as 67108864 or 64MiB")
}

// String implements pflag.Value.
func (b *byteSize) String() string {
	for _, unit := range byteUnits[:3] {
		if n := int64(*b) / unit.bytes; int64(*b)%unit.bytes == 0 && n > 0 && n < 1<<10 {
			return fmt.Sprint(n, unit.name)
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "bytes" }
