package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

// childVariable holds the directory in which the test program is to journal until it is killed.
const childVariable = "FLUX_TEST_JOURNAL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		journalUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// journalUntilKilled runs executions in several goroutines, each line of output being a step that has returned, or is about to
// begin.
func journalUntilKilled(dir string) {
	j, err := Open(dir, &Config{SegmentBytes: 8 << 10})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(what string, x *record.Execution, number uint32) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, x.ID, number)
	}
	check := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				x := &record.Execution{ID: record.NewID(), Status: record.StatusRunning}
				check(j.Begin(x))
				for number := range uint32(3) {
					say("intending", x, number)
					check(j.Intent(x.ID, write(number, record.StateIntent)))
					say("intent", x, number)
					check(j.Outcome(x.ID, write(number, record.StateDone)))
				}
				x.Status = record.StatusOK
				say("ending", x, 0)
				check(j.End(x))
				say("end", x, 0)
			}
		})
	}
	workers.Wait()
}

// G-194 with a real process: whatever it has said to be done is there after kill -9, and nothing ended that it did not end.
func TestKilledProcessLosesNothingItWasToldIsOnDisk(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{1, 10, 57, 400} {
		t.Run(strconv.Itoa(lines), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			said := killAfter(t, dir, lines)
			j := open(t, dir, nil)
			checkAfterKill(t, j, said)
		})
	}
}

// killAfter lets a child journal in dir, kills it once it has said some lines, and returns all whole lines by what and whom
// they are about.
func killAfter(t *testing.T, dir string, lines int) map[string]bool {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	said := make(map[string]bool)
	reader := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := reader.ReadString('\n')
		if err != nil {
			break
		}
		if strings.HasPrefix(line, "error") {
			t.Error(line)
		}
		said[strings.TrimSpace(line)] = true
		if n == lines {
			must(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return said
}

func checkAfterKill(t *testing.T, j *Journal, said map[string]bool) {
	t.Helper()
	recovered := make(map[record.ID]*record.Execution)
	for _, x := range j.Recovered() {
		recovered[x.ID] = x
		if x.Status != record.StatusCrashed {
			t.Errorf("%s is %s", x.ID, x.Status)
		}
	}
	waiting := drain(t, j)
	for id, x := range waiting {
		if x.Status == record.StatusOK && !said["ending "+id.String()+" 0"] {
			t.Errorf("%s is shown as ended", id)
		}
	}
	intents := 0
	for line := range said {
		var what, text string
		var number uint32
		if _, err := fmt.Sscan(line, &what, &text, &number); err != nil {
			t.Fatal(err)
		}
		id, err := record.ParseID(text)
		must(t, err)
		_, isRecovered := recovered[id]
		hasEnded := waiting[id] != nil && !isRecovered
		switch what {
		case "end":
			if !hasEnded {
				t.Errorf("%s has ended and is not there", id)
			}
		case "intent":
			intents++
			state := stateOf(recovered[id], number)
			if !hasEnded && state != record.StateInDoubt && state != record.StateDone {
				t.Errorf("intent %d of %s is %q", number, id, state)
			}
			if next := fmt.Sprintf("intent %s %d", id, number+1); isRecovered && said[next] && state != record.StateDone {
				t.Errorf("checkpoint %d of %s is %s although an intent came after its outcome", number, id, state)
			}
		}
	}
	if len(said) > 20 && intents == 0 {
		t.Error("the child did nothing")
	}
}
