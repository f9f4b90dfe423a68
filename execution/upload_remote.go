package execution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/execution/record"
)

var (
	// ErrLeased is returned when another process is resuming an execution.
	ErrLeased = errors.New("the execution is being resumed elsewhere")
	// ErrUnknown is returned for ids that no execution of the server has.
	ErrUnknown = errors.New("unknown execution")
)

// remote is the server that keeps executions. Safe for concurrent use.
type remote struct {
	client fluxv1connect.ExecutionServiceClient
	web    *http.Transport
}

// newRemote returns the server at an address. It connects when it is used.
func newRemote(url, token, namespace string) *remote {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // behind proxies; calls without streams need no more
	protocols.SetHTTP2(true)
	web := &http.Transport{Proxy: http.ProxyFromEnvironment, Protocols: protocols, IdleConnTimeout: time.Minute}
	identified := &remoteIdentity{web, token, namespace}
	// Records are compressed already.
	plain := connect.WithAcceptCompression("gzip", nil, nil)
	client := fluxv1connect.NewExecutionServiceClient(&http.Client{Transport: identified}, strings.TrimSuffix(url, "/"), plain)
	return &remote{client, web}
}

// close ends connections that are not in use.
func (r *remote) close() { r.web.CloseIdleConnections() }

// remoteIdentity puts into every call who makes it, and for which namespace.
type remoteIdentity struct {
	next             http.RoundTripper
	token, namespace string
}

// RoundTrip implements http.RoundTripper.
func (i *remoteIdentity) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Flux-Namespace", i.namespace)
	if i.token != "" {
		request.Header.Set("Authorization", "Bearer "+i.token)
	}
	return i.next.RoundTrip(request)
}

// record stores encoded executions and returns what became of each. When fence is not nil they are refused with ErrLeased
// unless it is still the newest lease.
func (r *remote) record(ctx context.Context, executions [][]byte, fence *lease) ([]*fluxv1.RecordOutcome, error) {
	request := &fluxv1.RecordExecutionsRequest{Executions: executions}
	if fence != nil {
		request.Fence = fence.fence()
	}
	answer, err := r.client.RecordExecutions(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, remoteError(err)
	}
	if got := len(answer.Msg.GetOutcomes()); got != len(executions) {
		return nil, fmt.Errorf("the server answered for %d of %d executions", got, len(executions))
	}
	return answer.Msg.GetOutcomes(), nil
}

// get returns the execution with an id, or the beginning of one, together with the start of its process. The error is
// ErrUnknown when there is none.
func (r *remote) get(ctx context.Context, id string) (*record.Bundle, error) {
	answer, err := r.client.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: id, Boot: true}))
	if err != nil {
		return nil, remoteError(err)
	}
	bundle := new(record.Bundle)
	if bundle.Execution, err = record.Decode(answer.Msg.GetExecution()); err != nil {
		return nil, err
	}
	if boot := answer.Msg.GetBoot(); len(boot) > 0 {
		bundle.Boot, err = record.Decode(boot)
	}
	return bundle, err
}

// list calls f with the summaries of executions that pass a filter, those that started last first, until f returns false.
func (r *remote) list(ctx context.Context, filter *fluxv1.ExecutionFilter, f func(*fluxv1.ExecutionSummary) bool) error {
	request := &fluxv1.ListExecutionsRequest{Filter: filter}
	for {
		answer, err := r.client.ListExecutions(ctx, connect.NewRequest(request))
		if err != nil {
			return remoteError(err)
		}
		for _, summary := range answer.Msg.GetExecutions() {
			if !f(summary) {
				return nil
			}
		}
		if request.Cursor = answer.Msg.GetCursor(); request.Cursor == "" {
			return nil
		}
	}
}

// lease is the right to resume an execution, for as long as it is renewed. Its token is greater than that of every lease
// before, so that what comes late from a holder that was thought dead can be told apart.
type lease struct {
	remote    *remote
	execution record.ID
	token     int64
	ttl       time.Duration
}

// acquire takes the lease of an execution for a time, from 1 s to 1 h. The holder is a name that nobody else has, so that a
// call may be repeated. The error is ErrLeased while another holder has it.
func (r *remote) acquire(ctx context.Context, execution record.ID, holder string, ttl time.Duration) (*lease, error) {
	request := &fluxv1.AcquireLeaseRequest{ExecutionId: execution.String(), Holder: holder, TtlMs: ttl.Milliseconds()}
	answer, err := r.client.AcquireLease(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, remoteError(err)
	}
	return &lease{r, execution, answer.Msg.GetLease().GetToken(), ttl}, nil
}

func (l *lease) fence() *fluxv1.LeaseFence {
	return &fluxv1.LeaseFence{ExecutionId: l.execution.String(), Token: l.token}
}

// renew prolongs the lease by its time from now on. The error is ErrLeased when another holder has got it.
func (l *lease) renew(ctx context.Context) error {
	request := &fluxv1.RenewLeaseRequest{Fence: l.fence(), TtlMs: l.ttl.Milliseconds()}
	_, err := l.remote.client.RenewLease(ctx, connect.NewRequest(request))
	return remoteError(err)
}

// release ends the lease.
func (l *lease) release(ctx context.Context) error {
	_, err := l.remote.client.ReleaseLease(ctx, connect.NewRequest(&fluxv1.ReleaseLeaseRequest{Fence: l.fence()}))
	return remoteError(err)
}

// keep renews the lease until stop is called, which waits for what is under way. The context that it returns ends when the
// lease is lost: with ErrLeased when another holder has got it, or when it could not be renewed in time.
func (l *lease) keep(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		expires := time.Now().Add(l.ttl)
		for sleepUpload(held, l.ttl/3) {
			begun := time.Now()
			try, end := context.WithDeadline(held, expires)
			err := l.renew(try)
			end()
			switch {
			case err == nil:
				expires = begun.Add(l.ttl)
			case errors.Is(err, ErrLeased), !time.Now().Before(expires):
				cancel(err)
			}
		}
	})
	return held, func() {
		cancel(context.Canceled)
		done.Wait()
	}
}

// remoteError wraps the errors of this package around those of the wire.
func remoteError(err error) error {
	switch connect.CodeOf(err) {
	case connect.CodeAborted:
		return fmt.Errorf("%w: %w", ErrLeased, err)
	case connect.CodeNotFound:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}
