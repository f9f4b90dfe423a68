package messagelog

import (
	"errors"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Logs reads the logs of an engine. The newest entries are kept in memory, so that readers at the end of a log touch no
// store. Safe for concurrent use.
type Logs struct {
	engine *engine.Engine
	tails  *tails
}

// New returns the reader of the engine's logs. Create it before the first transaction.
func New(e *engine.Engine) *Logs {
	l := &Logs{engine: e, tails: newTails(maxTailBytes)}
	e.Subscribe(l.tails.observe)
	return l
}

// Head returns the head of a log. The head of a log that never was has Last message.Beginning.
func (l *Logs) Head(ns message.Namespace, log message.Log) (Head, error) {
	view := l.engine.View()
	defer view.Close()
	return loadHead(view, headKey(ns, log.Stored()))
}

// Info is a log with its head.
type Info struct {
	Log message.Log
	Head
}

// List returns all logs of a namespace, in the order of their types and topics.
func (l *Logs) List(ns message.Namespace) ([]Info, error) {
	view := l.engine.View()
	defer view.Close()
	return listLogs(view, ns)
}

func listLogs(view *engine.View, ns message.Namespace) ([]Info, error) {
	it, err := view.ScanPrefix(engine.AppendKey(nil, ns, engine.FamilyHead))
	if err != nil {
		return nil, err
	}
	var all []Info
	for it.Next() {
		info, err := infoAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all = append(all, info)
	}
	return all, it.Close()
}

func infoAt(it *engine.Iterator) (Info, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Info{}, err
	}
	value, err := it.Value()
	if err != nil {
		return Info{}, err
	}
	head, err := decodeHead(value)
	return Info{key.Log, head}, err
}
