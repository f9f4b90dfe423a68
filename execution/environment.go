package execution

import (
	"context"
	"os"

	"github.com/flux-go/flux/execution/record"
)

// What the first byte of a recorded variable says.
const (
	envUnset  = 0
	envValue  = 1
	envHashed = 2
)

// LookupEnv is os.LookupEnv, and in a replay what it returned then. Values are recorded unless a rule hides them.
func LookupEnv(ctx context.Context, name string) (string, bool) {
	l := laneOf(ctx)
	if l == nil {
		return os.LookupEnv(name)
	}
	return l.x.lookupEnv(name)
}

// Getenv is os.Getenv, and in a replay what it returned then.
func Getenv(ctx context.Context, name string) string {
	value, _ := LookupEnv(ctx, name)
	return value
}

func (x *Execution) lookupEnv(name string) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if known, ok := x.env[name]; ok {
		return known.value, known.set
	}
	value, set := os.LookupEnv(name)
	if x.mode == ModeReplay {
		x.report.source(record.SourceEnv, "", name)
	}
	if x.env == nil {
		x.env = make(map[string]variable)
	}
	x.env[name] = variable{value, set}
	return value, set
}

// A variable of the environment as the execution first saw it. Changes within one execution are not recorded.
type variable struct {
	value string
	set   bool
}

func (v variable) encode() []byte {
	if !v.set {
		return []byte{envUnset}
	}
	return append([]byte{envValue}, v.value...)
}

func decodeVariable(data []byte) variable {
	if len(data) == 0 || data[0] == envUnset {
		return variable{}
	}
	return variable{string(data[1:]), true}
}
