// Command bench measures Flux and a peer in one run and prints what came out, with the ratio between them.
//
// Both run in this process, with the load generator, and are reached over loopback with their own clients. Figures depend
// on the machine; ratios depend on it less. docs/benchmarks.md keeps the last table.
//
//	go run ./bench                      all rows
//	go run ./bench -only P1,P2 -json    two rows, a JSON object a line
//	go run ./bench -quick               at most about ten seconds a row
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	id, what, reach string
	run             func(ctx context.Context, e *env) ([]result, error)
}

// result is one measured figure. Its JSON form is a contract: fields are only added.
type result struct {
	ID        string  `json:"id"`
	What      string  `json:"what"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	P50       string  `json:"p50,omitempty"`
	P99       string  `json:"p99,omitempty"`
	Peer      string  `json:"peer,omitempty"`
	PeerValue float64 `json:"peer_value,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	Settings  string  `json:"settings,omitempty"`
}

// against sets the peer of a result, and the ratio of the two values.
func (r result) against(peer string, value float64) result {
	r.Peer, r.PeerValue = peer, value
	if value > 0 {
		r.Ratio = r.Value / value
	}
	return r
}

// timed sets the latencies of a result.
func (r result) timed(l latencies) result {
	r.P50, r.P99 = round(l.percentile(0.50)), round(l.percentile(0.99))
	return r
}

func round(d time.Duration) string { return d.Round(time.Microsecond).String() }

// env is what all rows share.
type env struct {
	dir      string
	quick    bool
	payloads [][]byte
	log      io.Writer
}

// period is how long a row measures one thing.
func (e *env) period() time.Duration {
	if e.quick {
		return 3 * time.Second
	}
	return 10 * time.Second
}

// count is how many messages a row uses: n, or a tenth of it in a quick run.
func (e *env) count(n int) int {
	if e.quick {
		return n / 10
	}
	return n
}

// tempDir makes an empty directory for one server, which is removed by the function returned.
func (e *env) tempDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(e.dir, "")
	return dir, func() { os.RemoveAll(dir) }, err
}

// rows are measured in this order. Later capabilities add theirs.
var rows = slices.Concat(publishRows, consumeRows, requestRows, storageRows, stateRows, executionRows, javaRows, startRows)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated ids of the rows to measure; all when empty")
	asJSON := flags.Bool("json", false, "print one JSON object per line")
	quick := flags.Bool("quick", false, "about ten seconds a row, with fewer messages")
	dir := flags.String("dir", "", "directory for the data of the servers, on the disk to measure; a temporary one when empty")
	profile := flags.String("cpuprofile", "", "write a CPU profile of the measurements to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	e := &env{dir: *dir, quick: *quick, log: stderr}
	if e.payloads, err = flightPayloads(); err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return measure(ctx, e, chosen, printer(*asJSON, stdout))
}

func choose(only string) ([]row, error) {
	if only == "" {
		return rows, nil
	}
	var chosen []row
	for id := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return strings.EqualFold(r.id, strings.TrimSpace(id)) })
		if i < 0 {
			return nil, fmt.Errorf("no row %q", id)
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

func measure(ctx context.Context, e *env, chosen []row, show func(row, result) error) error {
	for _, r := range chosen {
		fmt.Fprintf(e.log, "%s  %s …\n", r.id, r.what)
		results, err := r.run(ctx, e)
		if err != nil {
			return fmt.Errorf("%s: %w", r.id, err)
		}
		for _, result := range results {
			if result.ID == "" {
				result.ID = r.id
			}
			if err := show(r, result); err != nil {
				return err
			}
		}
	}
	return nil
}

// printer returns what prints one result: a line of JSON, or a line of a table.
func printer(asJSON bool, w io.Writer) func(row, result) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		return func(_ row, r result) error { return encoder.Encode(r) }
	}
	const format = "%-4s\t%-58s\t%14s\t%10s\t%10s\t%-34s\t%14s\t%8s\t%s\n"
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, format, "id", "what", "flux", "p50", "p99", "peer", "peer value", "ratio", "to reach")
	return func(from row, r result) error {
		peerValue, ratio := "", ""
		if r.Peer != "" {
			peerValue, ratio = figure(r.PeerValue, r.Unit), fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(table, format, r.ID, r.What, figure(r.Value, r.Unit), r.P50, r.P99, r.Peer, peerValue, ratio, from.reach)
		return table.Flush()
	}
}

func figure(value float64, unit string) string {
	switch {
	case value >= 1e6:
		return fmt.Sprintf("%.2f M %s", value/1e6, unit)
	case value >= 1e3:
		return fmt.Sprintf("%.1f k %s", value/1e3, unit)
	}
	return fmt.Sprintf("%.2f %s", value, unit)
}
