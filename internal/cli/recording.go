package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// recordingNote describes the argument of commands that work on one recording.
const recordingNote = "ID is an id from flux logs, or at least 4 digits of its beginning. FILE.fluxrec, as flux export writes it, " +
	"needs no server."

// isRecordingFile says that an argument names a file, and not an id.
func isRecordingFile(arg string) bool {
	return strings.HasSuffix(arg, ".fluxrec") || strings.ContainsRune(arg, os.PathSeparator)
}

// recording returns the recording that an argument names: a file, or an execution on the server.
func (p *program) recording(ctx context.Context, arg string) (*record.Bundle, error) {
	if isRecordingFile(arg) {
		return readRecording(arg)
	}
	if _, _, err := record.ParsePrefix(arg); err != nil {
		return nil, usagef("take an id from flux logs, or the path of a .fluxrec file", "%w", err)
	}
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	answer, err := c.executions.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: arg, Boot: true}))
	if err != nil {
		return nil, err
	}
	return decodeRecording(answer.Msg)
}

func readRecording(path string) (*record.Bundle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	bundle, err := record.ReadBundle(file)
	if errors.Is(err, record.ErrNotBundle) {
		return nil, failf("write one with flux export ID -o FILE.fluxrec", "%s: %w", path, err)
	}
	return bundle, err
}

func decodeRecording(answer *fluxv1.GetExecutionResponse) (*record.Bundle, error) {
	x, err := record.Decode(answer.GetExecution())
	if err != nil {
		return nil, err
	}
	b := &record.Bundle{Execution: x}
	if len(answer.GetBoot()) > 0 {
		b.Boot, err = record.Decode(answer.GetBoot())
	}
	return b, err
}

// goodRun returns a recording of the last run of the same route that went well before an execution, nil when there is none.
func (p *program) goodRun(ctx context.Context, x *record.Execution) (*record.Execution, error) {
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	filter := &fluxv1.ExecutionFilter{
		Status: string(record.StatusOK), Service: x.Service, Method: x.Trigger.Method, Kind: string(x.Trigger.Kind),
		Until: x.Start.UnixMilli(),
	}
	if filter.Route = x.Trigger.Route; filter.Route == "" {
		filter.Path = x.Trigger.Path
	}
	list, err := c.executions.ListExecutions(ctx, connect.NewRequest(&fluxv1.ListExecutionsRequest{Filter: filter, MaxSize: 1}))
	if err != nil || len(list.Msg.GetExecutions()) == 0 {
		return nil, err
	}
	answer, err := c.executions.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: list.Msg.GetExecutions()[0].GetId()}))
	if err != nil {
		return nil, err
	}
	return record.Decode(answer.Msg.GetExecution())
}
