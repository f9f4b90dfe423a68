package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/flux-go/flux/execution/record"
)

// Limits of what is taken of one error: whoever joins a thousand errors is not told apart from who joins a hundred.
const (
	maxParts     = 100
	maxTextBytes = 16 << 10
)

// detail is what Detail of a record.Error holds: an element for the error itself, and one for each part of its chain.
type detail struct {
	Errors []part `json:"errors"`
}

// A part says how one error is rebuilt.
type part struct {
	Kind      string          `json:"kind,omitempty"`
	Fields    json.RawMessage `json:"fields,omitempty"`
	Wraps     int             `json:"wraps,omitempty"`  // errors that it wraps directly, which follow it
	Joined    bool            `json:"joined,omitempty"` // it unwraps to a slice
	Is        []string        `json:"is,omitempty"`     // kinds that its Is method takes it for
	Timeout   *bool           `json:"timeout,omitempty"`
	Temporary *bool           `json:"temporary,omitempty"`
}

// isPlain says that there is nothing to tell but type and text.
func (p *part) isPlain() bool {
	return p.Kind == "" && !p.Joined && p.Is == nil && p.Timeout == nil && p.Temporary == nil
}

// Of takes an error apart. It returns nil for nil. The types of own are tried before those of the standard library. Frames
// is set only when an error of the chain carries its own stack. Methods of err that panic are taken to have no answer.
func Of(err error, own ...Kind) *record.Error {
	if err == nil {
		return nil
	}
	t := taker{kinds: withStandard(own)}
	t.take(err)
	e := &record.Error{
		Class:   classOf(err),
		Message: t.parts[0].Message,
		Type:    t.parts[0].Type,
		Code:    codeOf(err),
		Chain:   t.parts[1:],
		Detail:  record.Payload{Data: t.detail(), Truncated: t.cut},
		Frames:  Frames(stackOf(err)),
	}
	e.Timeout, _ = answer(func() (bool, bool) { return timeoutOf(err) })
	e.Temp, _ = answer(func() (bool, bool) { return temporaryOf(err) })
	if len(e.Chain) == 0 {
		e.Chain = nil
	}
	return e
}

// A taker collects an error and all that it wraps, depth first.
type taker struct {
	kinds   kinds
	parts   []record.ErrorPart
	details []part
	cut     bool
}

// take adds an error with what it wraps, and says whether there was room.
func (t *taker) take(err error) bool {
	if len(t.parts) == maxParts {
		t.cut = true
		return false
	}
	i := len(t.parts)
	t.parts = append(t.parts, record.ErrorPart{Type: TypeName(err), Message: textOf(err)})
	if own, ok := err.(interface{ retold() error }); ok && own.retold() != nil {
		err = own.retold() // it was rebuilt: only the text is not its own
	}
	t.details = append(t.details, t.partOf(err))
	wrapped, joined := wrappedBy(err)
	t.details[i].Joined = joined
	for _, inner := range wrapped {
		if inner != nil && t.take(inner) {
			t.details[i].Wraps++
		}
	}
	return true
}

func (t *taker) partOf(err error) (p part) {
	defer func() { _ = recover() }() // a method of the error panicked: what it says is not known
	if p.Kind, p.Fields = t.kinds.of(err); p.Kind != "" {
		return p
	}
	p.Timeout, p.Temporary = answersOf(err)
	p.Is = t.kinds.takenFor(err)
	return p
}

// detail returns the JSON of what was taken, or nothing where types and texts in a chain are all there is.
func (t *taker) detail() []byte {
	plain := true
	for i := range t.details {
		plain = plain && t.details[i].isPlain()
	}
	if plain {
		return nil
	}
	data, err := json.Marshal(detail{t.details})
	if err != nil {
		return nil
	}
	return data
}

// wrappedBy returns the errors that an error wraps directly, and whether it unwraps to a slice.
func wrappedBy(err error) (wrapped []error, joined bool) {
	defer func() { _ = recover() }()
	switch own := err.(type) {
	case interface{ Unwrap() error }:
		if inner := own.Unwrap(); inner != nil {
			return []error{inner}, false
		}
	case interface{ Unwrap() []error }:
		return own.Unwrap(), true
	}
	return nil, false
}

// TypeName returns the Go type of an error as the compiler writes it, such as "*url.Error". For an error that was rebuilt,
// it is the type that was recorded.
func TypeName(err error) string {
	if own, ok := err.(interface{ recordedType() string }); ok {
		return own.recordedType()
	}
	return reflect.TypeOf(err).String()
}

func textOf(err error) (text string) {
	defer func() {
		if value := recover(); value != nil {
			text = fmt.Sprintf("(no text: Error of %T panicked)", err)
		}
	}()
	text = err.Error()
	if len(text) > maxTextBytes {
		text = text[:maxTextBytes] + "…"
	}
	return text
}

type (
	timeouter   interface{ Timeout() bool }
	temporarier interface{ Temporary() bool }
)

// answersOf returns what the methods of err itself answer, nil for those it has not.
func answersOf(err error) (timeout, temporary *bool) {
	defer func() { _ = recover() }()
	if own, ok := err.(timeouter); ok {
		timeout = new(own.Timeout())
	}
	if own, ok := err.(temporarier); ok {
		temporary = new(own.Temporary())
	}
	return timeout, temporary
}

func timeoutOf(err error) (value, ok bool) {
	var own timeouter
	if !errors.As(err, &own) {
		return false, false
	}
	return own.Timeout(), true
}

func temporaryOf(err error) (value, ok bool) {
	var own temporarier
	if !errors.As(err, &own) {
		return false, false
	}
	return own.Temporary(), true
}

// answer asks a foreign method, which may panic.
func answer(ask func() (bool, bool)) (value, ok bool) {
	defer func() {
		if recover() != nil {
			value, ok = false, false
		}
	}()
	return ask()
}
