package record

import (
	"maps"
	"slices"
	"unsafe"
)

// The fields of what is stored. Numbers are part of the format: docs/format/recording.md lists them.

func (c *coder) execution(x *Execution) {
	fixed(c, 1, x.ID[:])
	fixed(c, 2, x.Parent[:])
	fixed(c, 3, x.Root[:])
	text(c, 4, &x.Relation)
	text(c, 5, &x.From)
	text(c, 6, &x.RequestID)
	signed(c, 7, &x.Attempt)
	text(c, 8, &x.Service)
	text(c, 9, &x.Instance)
	text(c, 10, &x.Environment)
	message(c, 11, &x.Code, (*coder).code)
	labels(c, 12, &x.Labels)
	message(c, 13, &x.Trigger, (*coder).trigger)
	message(c, 14, &x.Input, (*coder).payload)
	message(c, 15, &x.Output, (*coder).payload)
	moment(c, 16, &x.Start)
	signed(c, 17, &x.Duration)
	text(c, 18, &x.Status)
	signed(c, 19, &x.HTTPStatus)
	optional(c, 20, &x.Error, (*coder).error)
	message(c, 21, &x.Replayable, (*coder).replayable)
	text(c, 22, &x.Kept)
	message(c, 23, &x.Redaction, (*coder).redaction)
	message(c, 24, &x.Dropped, (*coder).dropped)
	list(c, 25, &x.Checkpoints, int(unsafe.Sizeof(Checkpoint{})), (*coder).checkpoint)
	list(c, 26, &x.Logs, int(unsafe.Sizeof(LogLine{})), (*coder).logLine)
	list(c, 27, &x.Sources, int(unsafe.Sizeof(Source{})), (*coder).source)
	links(c, 28, &x.Links)
	list(c, 29, &x.Notes, int(unsafe.Sizeof(Note{})), (*coder).note)
	texts(c, 30, &x.Volatile)
	fixed(c, 31, x.Boot[:])
}

func (c *coder) code(v *Code) {
	text(c, 1, &v.Module)
	text(c, 2, &v.Package)
	text(c, 3, &v.Version)
	text(c, 4, &v.Commit)
	boolean(c, 5, &v.Dirty)
	text(c, 6, &v.Go)
}

func (c *coder) trigger(v *Trigger) {
	text(c, 1, &v.Kind)
	text(c, 2, &v.Method)
	text(c, 3, &v.Route)
	text(c, 4, &v.Path)
	text(c, 5, &v.Query)
	text(c, 6, &v.Peer)
	text(c, 7, &v.Local)
	text(c, 8, &v.Trace)
}

func (c *coder) payload(v *Payload) {
	blob(c, 1, &v.Data)
	boolean(c, 2, &v.Truncated)
}

func (c *coder) replayable(v *Replayable) {
	text(c, 1, &v.Level)
	texts(c, 2, &v.Reasons)
}

func (c *coder) redaction(v *Redaction) {
	text(c, 1, &v.Rules)
	signed(c, 2, &v.Count)
}

func (c *coder) dropped(v *Dropped) {
	signed(c, 1, &v.Checkpoints)
	signed(c, 2, &v.Logs)
	signed(c, 3, &v.Bytes)
}

func (c *coder) checkpoint(v *Checkpoint) {
	unsigned(c, 1, &v.Number)
	unsigned(c, 2, &v.Finished)
	text(c, 3, &v.Lane)
	text(c, 4, &v.Boundary)
	text(c, 5, &v.Target)
	text(c, 6, &v.Shape)
	fixed(c, 7, v.Hash[:])
	unsigned(c, 8, &v.Nth)
	signed(c, 9, &v.Start)
	signed(c, 10, &v.Duration)
	text(c, 11, &v.State)
	text(c, 12, &v.Effect)
	message(c, 13, &v.Request, (*coder).payload)
	message(c, 14, &v.Response, (*coder).payload)
	optional(c, 15, &v.Error, (*coder).error)
	text(c, 16, &v.IdempotencyKey)
	text(c, 17, &v.Transaction)
	text(c, 18, &v.Provenance)
	message(c, 19, &v.Call, (*coder).frame)
	links(c, 20, &v.Links)
	boolean(c, 21, &v.Failure)
}

func (c *coder) frame(v *Frame) {
	text(c, 1, &v.Function)
	text(c, 2, &v.File)
	signed(c, 3, &v.Line)
}

func (c *coder) error(v *Error) {
	text(c, 1, &v.Class)
	text(c, 2, &v.Message)
	text(c, 3, &v.Type)
	text(c, 4, &v.Code)
	boolean(c, 5, &v.Timeout)
	boolean(c, 6, &v.Temp)
	list(c, 7, &v.Chain, int(unsafe.Sizeof(ErrorPart{})), (*coder).errorPart)
	message(c, 8, &v.Detail, (*coder).payload)
	list(c, 9, &v.Frames, int(unsafe.Sizeof(Frame{})), (*coder).frame)
	text(c, 10, &v.Stack)
}

func (c *coder) errorPart(v *ErrorPart) {
	text(c, 1, &v.Type)
	text(c, 2, &v.Message)
}

func (c *coder) logLine(v *LogLine) {
	unsigned(c, 1, &v.After)
	text(c, 2, &v.Lane)
	signed(c, 3, &v.At)
	signed(c, 4, &v.Level)
	text(c, 5, &v.Message)
	message(c, 6, &v.Attrs, (*coder).payload)
	message(c, 7, &v.Source, (*coder).frame)
}

func (c *coder) source(v *Source) {
	text(c, 1, &v.Kind)
	text(c, 2, &v.Lane)
	text(c, 3, &v.Name)
	blob(c, 4, &v.Values)
}

func (c *coder) note(v *Note) {
	text(c, 1, &v.Lane)
	signed(c, 2, &v.At)
	text(c, 3, &v.Name)
	message(c, 4, &v.Value, (*coder).payload)
}

func links(c *coder, n int, v *[]Link) { list(c, n, v, int(unsafe.Sizeof(Link{})), (*coder).link) }

func (c *coder) link(v *Link) {
	text(c, 1, &v.Kind)
	fixed(c, 2, v.Execution[:])
	text(c, 3, &v.Log)
	unsigned(c, 4, &v.Index)
	text(c, 5, &v.MessageID)
}

type label struct{ key, value string }

func (c *coder) label(v *label) {
	text(c, 1, &v.key)
	text(c, 2, &v.value)
}

// labels are stored in the order of their keys, so that equal executions have equal bytes.
func labels(c *coder, n int, v *map[string]string) {
	var pairs []label
	if !c.reading {
		for _, key := range slices.Sorted(maps.Keys(*v)) {
			pairs = append(pairs, label{key, (*v)[key]})
		}
	}
	list(c, n, &pairs, 4*int(unsafe.Sizeof(label{})), (*coder).label)
	if c.reading && len(pairs) > 0 {
		*v = make(map[string]string, len(pairs))
		for _, pair := range pairs {
			(*v)[pair.key] = pair.value
		}
	}
}
