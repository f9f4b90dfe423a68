package execution

import (
	"slices"

	"github.com/flux-go/flux/execution/record"
)

// A LogComparison is a line of the log in a report: "=" for one of record and replay, "-" for one that only the record has, "+"
// for one that only the replay wrote.
type LogComparison struct {
	Change string         `json:"change"`
	Line   record.LogLine `json:"line"`
}

// compareLogs compares the lines of each lane with those that the lane wrote when it was recorded. How lanes took turns says
// nothing. Lines are the same when level, message and attributes are, but for volatile paths of the attributes.
func compareLogs(recorded, replayed []record.LogLine, volatile []string) []LogComparison {
	var out []LogComparison
	before, now := linesByLane(recorded), linesByLane(replayed)
	for _, lane := range lanesOf(recorded, replayed) {
		d := logDiff{a: before[lane], b: now[lane], volatile: volatile}
		out = append(out, d.compare()...)
	}
	return out
}

func linesByLane(lines []record.LogLine) map[string][]record.LogLine {
	byLane := make(map[string][]record.LogLine)
	for _, line := range lines {
		byLane[line.Lane] = append(byLane[line.Lane], line)
	}
	return byLane
}

// lanesOf returns the lanes in the order in which they first wrote.
func lanesOf(logs ...[]record.LogLine) []string {
	var lanes []string
	for _, lines := range logs {
		for i := range lines {
			if !slices.Contains(lanes, lines[i].Lane) {
				lanes = append(lanes, lines[i].Lane)
			}
		}
	}
	return lanes
}

// logDiff compares the lines of one lane: a of the record, b of the replay.
type logDiff struct {
	a, b     []record.LogLine
	volatile []string
	out      []LogComparison
}

// maxLogTable bounds the table of common lines. Longer logs are compared from both ends only.
const maxLogTable = 1 << 22

func (d *logDiff) compare() []LogComparison {
	end := 0
	for len(d.a) > 0 && len(d.b) > 0 && d.same(0, 0) {
		d.keep("=", d.b[0])
		d.a, d.b = d.a[1:], d.b[1:]
	}
	for end < len(d.a) && end < len(d.b) && d.same(len(d.a)-1-end, len(d.b)-1-end) {
		end++
	}
	tail := d.b[len(d.b)-end:]
	d.a, d.b = d.a[:len(d.a)-end], d.b[:len(d.b)-end]
	d.middle()
	for _, line := range tail {
		d.keep("=", line)
	}
	return d.out
}

func (d *logDiff) keep(change string, line record.LogLine) {
	d.out = append(d.out, LogComparison{change, line})
}

// middle walks along a longest common subsequence.
func (d *logDiff) middle() {
	common := d.commonLines()
	i, j := 0, 0
	for i < len(d.a) || j < len(d.b) {
		switch {
		case common != nil && i < len(d.a) && j < len(d.b) && d.same(i, j):
			d.keep("=", d.b[j])
			i, j = i+1, j+1
		case j == len(d.b) || i < len(d.a) && (common == nil || common[i+1][j] >= common[i][j+1]):
			d.keep("-", d.a[i])
			i++
		default:
			d.keep("+", d.b[j])
			j++
		}
	}
}

// commonLines returns for each i and j how many lines a[i:] and b[j:] have in common, nil when that is too much to find out.
func (d *logDiff) commonLines() [][]int {
	if len(d.a)*len(d.b) > maxLogTable {
		return nil
	}
	common := make([][]int, len(d.a)+1)
	for i := range common {
		common[i] = make([]int, len(d.b)+1)
	}
	for i := len(d.a) - 1; i >= 0; i-- {
		for j := len(d.b) - 1; j >= 0; j-- {
			if d.same(i, j) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	return common
}

func (d *logDiff) same(i, j int) bool {
	a, b := &d.a[i], &d.b[j]
	return a.Level == b.Level && a.Message == b.Message && len(Diff(a.Attrs.Data, b.Attrs.Data, d.volatile)) == 0
}
