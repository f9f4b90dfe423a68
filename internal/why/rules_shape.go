package why

import (
	"fmt"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// observationRules look at executions that failed and at those that did not.
var observationRules = []rule{repeated, retries, slowOperation, waitedInLine, leftOpen, clockSkew, messages}

// group collects checkpoints of the same kind, in the order in which the kinds first occur.
func group(x *record.Execution, key func(*record.Checkpoint) string) [][]*record.Checkpoint {
	index := make(map[string]int)
	var groups [][]*record.Checkpoint
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		k := key(cp)
		if k == "" {
			continue
		}
		n, ok := index[k]
		if !ok {
			n = len(groups)
			index[k] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], cp)
	}
	return groups
}

// minRepeats is how many reads of one shape from one place look like a loop over what one read could bring.
const minRepeats = 10

// repeated finds reads in a loop (N+1).
func repeated(q *inquiry) []Finding {
	var found []Finding
	for _, cps := range group(q.x, func(cp *record.Checkpoint) string {
		if cp.Effect != record.EffectRead {
			return ""
		}
		return fmt.Sprint(cp.Boundary, "\x00", cp.Target, "\x00", cp.Shape, "\x00", cp.Call)
	}) {
		if len(cps) < minRepeats {
			continue
		}
		var total time.Duration
		numbers := make([]uint32, len(cps))
		for i, cp := range cps {
			total += cp.Duration
			numbers[i] = cp.Number
		}
		f := about(cps[0], "shape.n-plus-one", "performance", Likely,
			fmt.Sprintf("%d reads of one shape from one place, %v together", len(cps), total.Round(1e5)),
			"read them all at once: with IN or a join, MGET, or a batch")
		f.Operations = numbers
		found = append(found, f)
	}
	return found
}

// retries finds operations that were tried again and again.
func retries(q *inquiry) []Finding {
	for _, cps := range group(q.x, func(cp *record.Checkpoint) string {
		if cp.Succeeded() || cp.Effect == record.EffectNone {
			return ""
		}
		return cp.Lane + "\x00" + string(cp.Hash[:])
	}) {
		if len(cps) < 3 {
			continue
		}
		first, last := cps[0], cps[len(cps)-1]
		f := about(last, "shape.retry-storm", "performance", Certain,
			fmt.Sprintf("the same operation failed %d times within %v", len(cps), (last.Start+last.Duration-first.Start).Round(1e6)),
			"try fewer times, with increasing pauses, and give up when the time of the request is over")
		for _, cp := range cps[:len(cps)-1] {
			f.Operations = append(f.Operations, cp.Number)
		}
		return []Finding{f}
	}
	return nil
}

// slow is how long an execution may take before it is worth saying what took the time.
const slow = time.Second

// slowOperation finds the operation that took most of the time of a slow execution.
func slowOperation(q *inquiry) []Finding {
	if q.x.Duration < slow {
		return nil
	}
	for i := range q.x.Checkpoints {
		cp := &q.x.Checkpoints[i]
		if cp.Duration*2 < q.x.Duration {
			continue
		}
		share := int(100 * cp.Duration / q.x.Duration)
		return []Finding{about(cp, "slow.operation", "performance", Certain,
			fmt.Sprintf("op %d took %v, %d %% of the time", cp.Number, cp.Duration.Round(1e6), share),
			"make it faster, do it beside others with execution.Go, or keep its result")}
	}
	var waited time.Duration
	for i := range q.x.Checkpoints {
		waited += q.x.Checkpoints[i].Duration
	}
	if waited*4 < q.x.Duration {
		return []Finding{{
			Rule: "slow.program", Category: "performance", Confidence: Likely,
			Title:      fmt.Sprintf("%v of %v were spent in the program itself", (q.x.Duration - waited).Round(1e6), q.x.Duration.Round(1e6)),
			Suggestion: "take a CPU profile, or look for locks and channels it waits for",
		}}
	}
	return nil
}

// waitedInLine finds slow reads that followed each other although none needed the one before, as far as the record shows.
func waitedInLine(q *inquiry) []Finding {
	if q.x.Duration < slow || len(q.x.Checkpoints) < 3 {
		return nil
	}
	targets := make(map[string]bool)
	var numbers []uint32
	for i := range q.x.Checkpoints {
		cp := &q.x.Checkpoints[i]
		if cp.Effect == record.EffectRead && cp.Duration*8 > q.x.Duration {
			targets[cp.Target+cp.Shape] = true
			numbers = append(numbers, cp.Number)
		}
	}
	if len(targets) < 3 {
		return nil
	}
	return []Finding{{
		Rule: "slow.sequential", Category: "performance", Confidence: Possible, Operations: numbers,
		Title:      fmt.Sprintf("%d slow reads of different things followed each other", len(numbers)),
		Suggestion: "if none needs the result of another, do them side by side with execution.Go",
	}}
}

// leftOpen finds operations whose end was not seen: bodies and rows that were not closed.
func leftOpen(q *inquiry) []Finding {
	if q.x.Status == record.StatusCrashed || q.x.Status == record.StatusInterrupted {
		return nil
	}
	for i := range q.x.Checkpoints {
		cp := &q.x.Checkpoints[i]
		if cp.State == record.StateIntent && len(cp.Response.Data) > 0 {
			return []Finding{about(cp, "leak.response", "program", Likely, fmt.Sprintf("the answer of op %d was not read to its end or closed", cp.Number),
				"close bodies and rows with defer, right after checking the error")}
		}
	}
	return nil
}

// maxSkew is how far clocks of two machines may differ.
const maxSkew = 30 * time.Second

// clockSkew finds answers whose date is far from ours.
func clockSkew(q *inquiry) []Finding {
	for i := range q.x.Checkpoints {
		cp := &q.x.Checkpoints[i]
		dates, _ := field(cp.Response.Data, "header", "Date").([]any)
		if cp.Boundary != "http" || len(dates) == 0 {
			continue
		}
		theirs, err := time.Parse(time.RFC1123, fmt.Sprint(dates[0]))
		if err != nil {
			continue
		}
		if skew := theirs.Sub(q.x.Start.Add(cp.Start + cp.Duration)); skew.Abs() > maxSkew {
			return []Finding{about(cp, "clock.skew", "configuration", Possible,
				fmt.Sprintf("the clock of %s is %v from ours, or the answer came from a cache", hostOf(cp.Target), skew.Round(time.Second)),
				"keep the clocks of both machines in step; tokens and signatures depend on it")}
		}
	}
	return nil
}

// messages finds log lines that tell of trouble in words that rules know.
func messages(q *inquiry) []Finding {
	for i, line := range q.x.Logs {
		if strings.Contains(line.Message, "superfluous response.WriteHeader") {
			return []Finding{{
				Rule: "http.written-twice", Category: "program", Confidence: Certain, Logs: []int{i}, Frame: line.Source,
				Title: "the answer was written twice", Suggestion: "return after writing an error",
			}}
		}
	}
	return nil
}
