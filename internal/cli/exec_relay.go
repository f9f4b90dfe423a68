package cli

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// A relay hands the signals that this process gets on to a command, each of them once.
//
// Who signals flux means the program: a supervisor knows no other process. So SIGINT, SIGTERM and SIGHUP go to the group of
// processes that the command leads, as a terminal would send them: go run, for one, leaves SIGINT to the program that it started.
// Because that group is not ours, a signal to our group, such as timeout and the shell send, comes to the program through us only.
//
// On a terminal it is otherwise. Only the group in front may read from it, so the command stays in ours; Ctrl-C and the end of the
// terminal are then sent to the command by the terminal itself, and we hand neither on. SIGTERM does not come from terminals: that
// goes to the command.
type relay struct {
	command *exec.Cmd
	signals chan os.Signal
	done    chan struct{} // closed when all signals are handed on
	ending  bool          // the command was told to end; to be read after done
}

// startRelayed starts a command, with stdin as where its input comes from, and hands signals on to it until stop.
func startRelayed(command *exec.Cmd, stdin io.Reader) (*relay, error) {
	ownGroup(command, stdin)
	r := &relay{command: command, signals: make(chan os.Signal, 8), done: make(chan struct{})}
	for _, s := range relayedSignals {
		if !signal.Ignored(s) { // as nohup has it, which is for the command too
			signal.Notify(r.signals, s)
		}
	}
	if err := command.Start(); err != nil {
		signal.Stop(r.signals)
		return nil, err
	}
	go r.run()
	return r, nil
}

func (r *relay) run() {
	defer close(r.done)
	for s := range r.signals {
		r.ending = r.ending || s != syscall.SIGHUP // which tells some programs to read their configuration again
		handOn(r.command, s)
	}
}

// stop ends the relay and returns whether the command was told to end. All signals that came until now are handed on. It may be
// called more than once, but not at the same time.
func (r *relay) stop() (ending bool) {
	signal.Stop(r.signals) // which returns when what came is in the channel
	select {
	case <-r.done:
	default:
		close(r.signals)
		<-r.done
	}
	return r.ending
}
