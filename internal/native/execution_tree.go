package native

import (
	"context"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/recording"
)

// GetExecutionTree serves the procedure of this name.
func (s executionService) GetExecutionTree(
	ctx context.Context, r *connect.Request[fluxv1.GetExecutionTreeRequest],
) (*connect.Response[fluxv1.GetExecutionTreeResponse], error) {
	tree, err := s.executions.Tree(namespaceOf(ctx), r.Msg.GetId())
	if err != nil {
		return nil, err
	}
	out := &fluxv1.GetExecutionTreeResponse{Asked: int32(tree.Asked), More: tree.More}
	for i := range tree.Parts {
		out.Parts = append(out.Parts, writePart(&tree.Parts[i]))
	}
	return connect.NewResponse(out), nil
}

func writePart(p *recording.Part) *fluxv1.ExecutionPart {
	out := &fluxv1.ExecutionPart{Id: p.ID.String(), Cause: int32(p.Cause)}
	if p.Item != nil {
		out.Summary = writeExecution(p.Item)
	}
	if p.Call != nil {
		out.Call = writeCall(p.Call)
	}
	if p.Message != (record.Link{}) {
		out.Message = writeLink(&p.Message)
	}
	return out
}

func writeCall(cp *record.Checkpoint) *fluxv1.ExecutionCall {
	out := &fluxv1.ExecutionCall{
		Number: int64(cp.Number), Boundary: validText(cp.Boundary), Target: validText(cp.Target), Shape: validText(cp.Shape),
		StartUs: cp.Start.Microseconds(), DurationUs: cp.Duration.Microseconds(), State: validText(string(cp.State)), Failed: !cp.Succeeded(),
	}
	if cp.Error != nil {
		out.Error = validText(cp.Error.Message)
	}
	return out
}
