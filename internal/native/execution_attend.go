package native

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// attendance knows the processes that attend, and what they were told to do. It is in memory alone: who attends connects again
// after a restart, and a command is answered to the call that waits for it, or to nobody.
type attendance struct {
	mu       sync.Mutex
	present  []*attendant
	commands map[string]*command
	last     uint64
}

// attendant is a process that attends.
type attendant struct {
	namespace message.Namespace
	instance  *fluxv1.Instance // busy is counted in it
	inbox     chan *fluxv1.ExecutionCommand
	gone      context.Context
}

// command is what a process has not answered.
type command struct {
	to     *attendant
	answer chan *fluxv1.AnswerCommandRequest // has room for one
}

const (
	// maxCommands bounds what one process is told and has not taken yet.
	maxCommands = 256
	maxNameLen  = 256
)

func newAttendance() *attendance { return &attendance{commands: make(map[string]*command)} }

// come adds a process until leave is called.
func (a *attendance) come(ctx context.Context, ns message.Namespace, instance *fluxv1.Instance) (one *attendant, leave func()) {
	gone, cancel := context.WithCancel(ctx)
	one = &attendant{ns, instance, make(chan *fluxv1.ExecutionCommand, maxCommands), gone}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.present = append(a.present, one)
	return one, func() {
		cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.present = slices.DeleteFunc(a.present, func(other *attendant) bool { return other == one })
	}
}

// list returns the processes of a service, or all, as they are now.
func (a *attendance) list(ns message.Namespace, service string) (all []*fluxv1.Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.present {
		if one.namespace == ns && (service == "" || one.instance.GetService() == service) {
			all = append(all, one.showLocked())
		}
	}
	return all
}

// show returns a process as it is now.
func (a *attendance) show(one *attendant) *fluxv1.Instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	return one.showLocked()
}

func (one *attendant) showLocked() *fluxv1.Instance {
	i := one.instance
	return &fluxv1.Instance{
		Service: i.GetService(), Instance: i.GetInstance(), Version: i.GetVersion(), Environment: i.GetEnvironment(),
		Since: i.GetSince(), Busy: i.GetBusy(),
	}
}

// tell gives a command to the process that is least busy of those that may do it. It returns false when there is none.
func (a *attendance) tell(ns message.Namespace, in *fluxv1.CommandInstanceRequest) (*fluxv1.ExecutionCommand, *command, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var best *attendant
	for _, one := range a.present {
		i := one.instance
		fits := one.namespace == ns && i.GetService() == in.GetService() && (in.GetVersion() == "" || in.GetVersion() == i.GetVersion()) &&
			(in.GetInstance() == "" || in.GetInstance() == i.GetInstance()) && len(one.inbox) < cap(one.inbox)
		if fits && (best == nil || i.GetBusy() < best.instance.GetBusy()) {
			best = one
		}
	}
	if best == nil {
		return nil, nil, false
	}
	a.last++
	told := &fluxv1.ExecutionCommand{
		Id: strconv.FormatUint(a.last, 10), ExecutionId: in.GetCommand().GetExecutionId(), Kind: in.GetCommand().GetKind(),
		Options: in.GetCommand().GetOptions(),
	}
	c := &command{best, make(chan *fluxv1.AnswerCommandRequest, 1)}
	a.commands[told.GetId()] = c
	best.instance.Busy++
	best.inbox <- told // has room: only tell sends, under the lock
	return told, c, true
}

// answer brings an answer to who waits for it, if anybody does.
func (a *attendance) answer(ns message.Namespace, answer *fluxv1.AnswerCommandRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.commands[answer.GetId()]; c != nil && c.to.namespace == ns {
		a.forgetLocked(answer.GetId())
		c.answer <- answer
	}
}

func (a *attendance) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetLocked(id)
}

func (a *attendance) forgetLocked(id string) {
	if c := a.commands[id]; c != nil {
		c.to.instance.Busy--
		delete(a.commands, id)
	}
}

// Attend serves the procedure of this name.
func (s executionService) Attend(
	ctx context.Context, r *connect.Request[fluxv1.AttendRequest], stream *connect.ServerStream[fluxv1.AttendResponse],
) error {
	in := r.Msg.GetInstance()
	for _, name := range []string{in.GetService(), in.GetInstance()} {
		if len(name) == 0 || len(name) > maxNameLen {
			return invalid("the name of service or instance has %d bytes: use 1 to %d", len(name), maxNameLen)
		}
	}
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	one, leave := s.attendance.come(ctx, namespaceOf(ctx), &fluxv1.Instance{
		Service: in.GetService(), Instance: in.GetInstance(), Version: in.GetVersion(), Environment: in.GetEnvironment(),
		Since: s.clock().UnixMilli(),
	})
	defer leave()
	if err := stream.Send(&fluxv1.AttendResponse{}); err != nil {
		return err
	}
	for {
		select {
		case told := <-one.inbox:
			if err := stream.Send(&fluxv1.AttendResponse{Command: told}); err != nil {
				return err
			}
		case <-ctx.Done():
			return causeOf(ctx, ctx.Err())
		}
	}
}

// CommandInstance serves the procedure of this name.
func (s executionService) CommandInstance(
	ctx context.Context, r *connect.Request[fluxv1.CommandInstanceRequest],
) (*connect.Response[fluxv1.CommandInstanceResponse], error) {
	if _, err := record.ParseID(r.Msg.GetCommand().GetExecutionId()); err != nil {
		return nil, err
	}
	if kind := r.Msg.GetCommand().GetKind(); kind != "resume" && kind != "replay" {
		return nil, invalid("command %q: use resume or replay", kind)
	}
	told, c, ok := s.attendance.tell(namespaceOf(ctx), r.Msg)
	if !ok {
		what := strings.TrimSpace(strings.Join([]string{r.Msg.GetService(), r.Msg.GetVersion(), r.Msg.GetInstance()}, " "))
		return nil, notFoundf("no process of %s is connected", what)
	}
	defer s.attendance.forget(told.GetId())
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	select {
	case answer := <-c.answer:
		return connect.NewResponse(&fluxv1.CommandInstanceResponse{Instance: s.attendance.show(c.to), Answer: answer}), nil
	case <-c.to.gone.Done():
		err := notFoundf("process %s went away before it answered", c.to.instance.GetInstance())
		return nil, hinted{err, "flux logs --parent " + told.GetExecutionId() + " tells what came of it"}
	case <-ctx.Done():
		return nil, causeOf(ctx, ctx.Err())
	}
}

// AnswerCommand serves the procedure of this name.
func (s executionService) AnswerCommand(
	ctx context.Context, r *connect.Request[fluxv1.AnswerCommandRequest],
) (*connect.Response[fluxv1.AnswerCommandResponse], error) {
	s.attendance.answer(namespaceOf(ctx), r.Msg)
	return connect.NewResponse(&fluxv1.AnswerCommandResponse{}), nil
}

// ListInstances serves the procedure of this name.
func (s executionService) ListInstances(
	ctx context.Context, r *connect.Request[fluxv1.ListInstancesRequest],
) (*connect.Response[fluxv1.ListInstancesResponse], error) {
	return connect.NewResponse(&fluxv1.ListInstancesResponse{Instances: s.attendance.list(namespaceOf(ctx), r.Msg.GetService())}), nil
}
