package execution

import (
	"fmt"
	"os"

	"github.com/flux-go/flux/execution/record"
)

// EnvCause names the variable of the environment that holds the id of the execution which runs this program, as flux exec sets it:
// what the program records without a cause of its own is its child.
const EnvCause = "FLUX_EXECUTION"

// readCause returns the execution that runs this program, the zero ID for none. The error is ErrBadConfig.
func readCause() (record.ID, error) {
	text := os.Getenv(EnvCause)
	if text == "" {
		return record.ID{}, nil
	}
	id, err := record.ParseID(text)
	if err != nil {
		return record.ID{}, fmt.Errorf("%w: %s: %w", ErrBadConfig, EnvCause, err)
	}
	return id, nil
}

// join makes an execution that nothing else has caused a child of the one that runs this program.
func (x *Execution) join(cause record.ID) {
	if !cause.IsZero() && x.head.Parent.IsZero() {
		x.head.Parent, x.head.Relation = cause, record.RelationChild
		x.head.Links = append(x.head.Links, record.Link{Kind: record.LinkCause, Execution: cause})
	}
}
