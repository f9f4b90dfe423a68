package auto

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { value, set := env[name]; return value, set }
}

func TestNothingIsRecordedWithoutAPlaceToRecordTo(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{{}, {"FLUX_SERVICE": "shop", "FLUX_KEEP": "all"}} {
		if _, wanted, err := configure(lookupIn(env)); wanted || err != nil {
			t.Errorf("%v: wanted %v, error %v", env, wanted, err)
		}
	}
	for _, name := range []string{"FLUX_URL", "FLUX_DIR", "FLUX_REPLAY"} {
		if _, wanted, err := configure(lookupIn(map[string]string{name: "x"})); !wanted || err != nil {
			t.Errorf("%s: wanted %v, error %v", name, wanted, err)
		}
	}
}

func TestEnvironmentIsTheConfiguration(t *testing.T) {
	t.Parallel()
	config, _, err := configure(lookupIn(map[string]string{
		"FLUX_URL": "http://flux:8888", "FLUX_TOKEN": "secret", "FLUX_NAMESPACE": "team", "FLUX_DIR": "/var/flux",
		"FLUX_SERVICE": "shop", "FLUX_ENVIRONMENT": "staging", "FLUX_VERSION": "v7", "FLUX_JOURNAL": "all",
		"FLUX_KEEP": "slower=500ms, sample=0.25,first=-1",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if config.Journal == nil || !config.Journal(record.Trigger{}) {
		t.Error("executions are not journalled")
	}
	got := []string{
		config.URL, config.Token, config.Namespace, config.Dir, config.Service, config.Environment, config.Version,
	}
	for i, want := range []string{"http://flux:8888", "secret", "team", "/var/flux", "shop", "staging", "v7"} {
		if got[i] != want {
			t.Errorf("%s in place of %s", got[i], want)
		}
	}
	keep := config.Keep
	if keep.All || keep.Slower != 500*time.Millisecond || keep.Sample != 0.25 || keep.First != -1 {
		t.Errorf("keep: %+v", keep)
	}
}

func TestServiceIsNamedAfterTheProgram(t *testing.T) {
	t.Parallel()
	config, _, _ := configure(lookupIn(map[string]string{"FLUX_URL": "x"}))
	if want := filepath.Base(os.Args[0]); config.Service != want {
		t.Errorf("service %q, want %q", config.Service, want)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"FLUX_KEEP": "often", "FLUX_JOURNAL": "some"} {
		if _, _, err := configure(lookupIn(map[string]string{"FLUX_DIR": "x", name: value})); !errors.Is(err, errSetting) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	for _, rules := range []string{"slower=soon", "sample=", "first=x", "all,,"} {
		if keep, err := parseKeep(rules); !errors.Is(err, errSetting) {
			t.Errorf("%s: %+v, %v", rules, keep, err)
		}
	}
}

func TestFunctionsOutsideAnExecutionAreThoseTheyStandFor(t *testing.T) {
	t.Parallel()
	if got := Getenv("PATH"); got != os.Getenv("PATH") {
		t.Errorf("PATH is %q", got)
	}
	before := time.Now()
	if now := Now(); now.Before(before) || Since(before) < 0 || Until(before) > 0 {
		t.Errorf("the clock says %v, %v before", now, before)
	}
	var sum uint64
	for range 64 {
		if n := IntN(10); n < 0 || n > 9 {
			t.Errorf("IntN(10) = %d", n)
		}
		if d := N(time.Second); d < 0 || d >= time.Second {
			t.Errorf("N(time.Second) = %v", d)
		}
		if n := OldIntn(10); n < 0 || n > 9 {
			t.Errorf("OldIntn(10) = %d", n)
		}
		sum |= Uint64() | OldUint64()
	}
	if sum>>56 != 0xff { // fails once in 2^1000 runs
		t.Errorf("random numbers never have some bits: %x", sum)
	}
}

func TestCallsAreThoseOfTheExecutionAReplayGivesAgain(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{Service: "test", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	if execution.FromContext(ctx) != x {
		t.Fatal("no execution")
	}
	old := oldSource{execution.Rand(ctx)}
	first := []int64{old.Int63(), old.Int63()}
	x.End(nil)
	again, y, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: <-kept}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer y.End(nil)
	old = oldSource{execution.Rand(again)}
	if second := []int64{old.Int63(), old.Int63()}; second[0] != first[0] || second[1] != first[1] || first[0] < 0 {
		t.Errorf("%v, in the replay %v", first, second)
	}
}
