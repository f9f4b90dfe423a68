package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// maxCandidates is how many operations are listed that a name may mean.
const maxCandidates = 20

// parseFrom returns the number of the operation that --from means, nil for "": it is a number, or what the operation asked, of whom,
// or both, whole or in part. The error is one of usage when that is none or several.
func parseFrom(text string, x *record.Execution) (*uint32, error) {
	if text == "" {
		return nil, nil
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		number := uint32(n)
		return &number, nil
	}
	found := operationsNamed(x, func(name string) bool { return name == text })
	if len(found) == 0 {
		found = operationsNamed(x, func(name string) bool { return strings.Contains(name, text) })
	}
	switch len(found) {
	case 0:
		return nil, usagef("look at the operations with --plan", "--from: no operation is %q", text)
	case 1:
		return &found[0].Number, nil
	}
	var list strings.Builder
	for _, cp := range found[:min(len(found), maxCandidates)] {
		fmt.Fprintf(&list, "\n  %d  %s", cp.Number, plain(strings.Join([]string{cp.Boundary, cp.Target, cp.Shape}, " ")))
	}
	if more := len(found) - maxCandidates; more > 0 {
		fmt.Fprintf(&list, "\n  and %d more", more)
	}
	return nil, usagef("give the number of one", "--from: %q may be any of these:%s", text, list.String())
}

// operationsNamed returns the operations of which one name is wanted.
func operationsNamed(x *record.Execution, wanted func(string) bool) (found []*record.Checkpoint) {
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		whole := strings.Join([]string{cp.Boundary, cp.Target, cp.Shape}, " ")
		if slices.ContainsFunc([]string{cp.Shape, cp.Target, cp.Boundary + " " + cp.Shape, cp.Target + " " + cp.Shape, whole}, wanted) {
			found = append(found, cp)
		}
	}
	return found
}
