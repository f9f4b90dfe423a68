package execution

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/flux-go/flux/execution/record"
)

// EnvReplay names the variable of the environment with which flux replay and flux resume start a program: the path of a
// Control, as JSON. Connect reads it.
const EnvReplay = "FLUX_REPLAY"

// HeaderReplay marks the request with which flux replay sets the replay off in the program: its value is the nonce of the
// Control, and that of the answer too. The recorded request stands in for that one, so that it need not be like it. In a process
// without a Control the header means nothing.
const HeaderReplay = "Flux-Replay"

// A Control tells a process what to replay or resume.
type Control struct {
	Bundle string `json:"bundle"`          // path of a .fluxrec file
	Report string `json:"report"`          // path to which the report is written, as the JSON of a ProcessReport
	Record string `json:"record"`          // path to which the new record is written as a .fluxrec file; "" for none
	Began  string `json:"began,omitempty"` // path of a file that is made before the replay or the resume does anything; "" for none
	Ready  string `json:"ready,omitempty"` // path without its end, which ReadyPath gives; "" when nobody wants to know
	Nonce  string `json:"nonce"`

	Replay *ReplayOptions `json:"replay,omitempty"`
	Resume *ResumeOptions `json:"resume,omitempty"` // not nil: resume instead
}

// A ProcessReport is what a process writes when it has replayed or resumed.
type ProcessReport struct {
	Report  *Report `json:"report"`
	Process int     `json:"process"` // id of the process, which may not be the one that was started
}

// A process is what a recorder of a process that replays or resumes one record knows beyond others.
type process struct {
	control Control
	bundle  *record.Bundle

	mu         sync.Mutex
	taken      bool
	x          *Execution // nil until it was taken
	outside    []Operation
	violations []string
}

// processControl reads the file that EnvReplay names, and its bundle. It returns nil when the variable is empty. The error is
// ErrBadConfig.
func processControl(path string) (*process, error) {
	if path == "" {
		return nil, nil
	}
	p := new(process)
	if err := p.read(path); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadConfig, EnvReplay, err)
	}
	return p, nil
}

// newProcess returns the recorder of a process that replays or resumes one record.
func newProcess(config Config, p *process, store store) (*Recorder, error) {
	r, err := newRecorder(config, store)
	if err != nil {
		return nil, err
	}
	r.process, r.attendant = p, nil
	if p.control.Resume == nil {
		r.boot = r.replayBoot(p.bundle.Boot)
		if !p.replay().Validate {
			p.poison()
		}
	}
	return r, nil
}

func (p *process) read(path string) error {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &p.control)
	}
	if err != nil {
		return err
	}
	file, err := os.Open(p.control.Bundle)
	if err != nil {
		return err
	}
	defer file.Close()
	p.bundle, err = record.ReadBundle(file)
	return err
}

func (p *process) replay() *ReplayOptions { return cmp.Or(p.control.Replay, &ReplayOptions{}) }

// replayBoot returns the execution that answers operations outside of the one that is replayed: from the record of the start of
// the process, as often as they are asked. Others are refused, each on its own, and reported.
func (r *Recorder) replayBoot(of *record.Execution) *Execution {
	of = cmp.Or(of, &record.Execution{})
	x := r.newExecution(record.Trigger{Kind: record.TriggerBoot}, ModeReplay)
	opts := &ReplayOptions{ReuseReads: true}
	x.matcher = newMatcher(of, opts)
	x.report = newReporter(x, opts)
	x.env = environment(of)
	x.outside = true
	return x
}

// poison makes what dials without the recorder fail, and be reported: a replay has no network.
func (p *process) poison() {
	http.DefaultTransport = &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, p.violation("a connection to " + address)
	}}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		return nil, p.violation("a look-up of a name")
	}}
}

// errNoNetwork is the error of everything that dials in a replay.
var errNoNetwork = errors.New("a replay has no network")

func (p *process) violation(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.violations, what) {
		p.violations = append(p.violations, what)
	}
	return fmt.Errorf("%w: %s went past the recorder", errNoNetwork, what)
}

// refused notes an operation outside of the replay that the record of the start does not have.
func (p *process) refused(stop *Stop) {
	p.mu.Lock()
	p.outside = append(p.outside, stop.Operation)
	p.mu.Unlock()
}

// take returns true once: to the first that is the one to be replayed.
func (p *process) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken {
		return false
	}
	p.taken = true
	return true
}

// begin begins the replay or the resume of the process.
func (p *process) begin(ctx context.Context, r *Recorder) (context.Context, *Execution, error) {
	var x *Execution
	var err error
	if p.control.Resume != nil {
		ctx, x, err = r.BeginResume(ctx, p.bundle, p.control.Resume)
	} else {
		ctx, x, err = r.BeginReplay(ctx, p.bundle, p.replay())
	}
	if err == nil && p.control.Began != "" {
		err = os.WriteFile(p.control.Began, nil, 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	p.x = x
	p.mu.Unlock()
	return ctx, x, err
}

// over writes the report of an execution that ended, if it was the one.
func (p *process) over(x *Execution) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.x != x {
		return
	}
	report := *x.Report()
	report.Outside, report.Violations = p.outside, p.violations
	report.Outcome = report.verdict()
	if err := p.write(x, &report); err != nil {
		x.rec.config.Logger.Error("the report is not written", "error", err)
	}
}

// write writes the record, if it is wanted, and then the report.
func (p *process) write(x *Execution, report *Report) error {
	if p.control.Record != "" {
		var file bytes.Buffer
		if err := record.WriteBundle(&file, &record.Bundle{Execution: x.Record()}); err != nil {
			return err
		}
		if err := putFile(p.control.Record, file.Bytes()); err != nil {
			return err
		}
	}
	data, err := json.Marshal(ProcessReport{report, os.Getpid()})
	if err != nil {
		return err
	}
	return putFile(p.control.Report, data)
}

// putFile puts a file in place as a whole: who waits for it finds all of it.
func putFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "new")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// TakeRecorded returns the bundle that this process replays or resumes, to one caller, when it began with a trigger of that
// kind: a consumer gives its message to the handler, an interceptor its call. It is nil in any other case. What the caller then
// begins with BeginRecorded is the replay.
func (r *Recorder) TakeRecorded(kind record.TriggerKind) *record.Bundle {
	if r == nil || r.process == nil || r.process.bundle.Execution.Trigger.Kind != kind || !r.process.take() {
		return nil
	}
	return r.process.bundle
}

// BeginRecorded begins the replay or the resume of what TakeRecorded returned. The report is written at the end of the
// execution. The errors are those of BeginReplay and BeginResume.
func (r *Recorder) BeginRecorded(ctx context.Context) (context.Context, *Execution, error) {
	return r.process.begin(ctx, r)
}

// beginInProcess is Begin in a process that replays or resumes: an execution of a trigger like the recorded one is it, and all
// others are not recorded. Requests and messages come with what was recorded, so they are not begun here.
func (r *Recorder) beginInProcess(ctx context.Context, t record.Trigger) (context.Context, *Execution) {
	of := r.process.bundle.Execution.Trigger
	switch t.Kind {
	case record.TriggerJob, record.TriggerCLI, record.TriggerTest:
	default:
		return ctx, nil
	}
	if t.Kind != of.Kind || t.Method != of.Method || t.Route != of.Route || t.Path != of.Path || !r.process.take() {
		return ctx, nil
	}
	inner, x, err := r.process.begin(ctx, r)
	if err != nil {
		r.config.Logger.Error("the record is not replayed", "error", err)
		return ctx, nil
	}
	return inner, x
}

// serveInProcess handles a request in a process that replays or resumes: the one with the nonce is the recorded one.
func (m *middleware) serveInProcess(w http.ResponseWriter, req *http.Request) {
	p := m.rec.process
	if nonce := req.Header.Get(HeaderReplay); nonce == "" || nonce != p.control.Nonce || !p.take() {
		m.next.ServeHTTP(w, req)
		return
	}
	w.Header().Set(HeaderReplay, p.control.Nonce)
	recorded, err := recordedRequest(p.bundle.Execution)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	ctx, x, err := p.begin(req.Context(), m.rec)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	x.take(recorded)
	serve(withLocal(ctx, x.head.Trigger.Local), x, m.next, w, recorded)
}
