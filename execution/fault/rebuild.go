package fault

import (
	"encoding/json"

	"github.com/flux-go/flux/execution/record"
)

// Rebuild makes an error of what was taken of one: its text is Message, and errors.Is and errors.As answer for it as they did
// for the error that was recorded, as far as its types are those of the standard library or among own. It returns nil for
// nil, and some error for whatever else it is given.
func Rebuild(e *record.Error, own ...Kind) error {
	if e == nil {
		return nil
	}
	b := builder{kinds: withStandard(own), parts: append([]record.ErrorPart{{Type: e.Type, Message: e.Message}}, e.Chain...)}
	if len(b.parts) > maxParts {
		b.parts = b.parts[:maxParts]
	}
	b.details = detailsOf(e, len(b.parts))
	return b.next()
}

// detailsOf returns how the parts of an error are rebuilt. Where the record does not say, as when another program wrote it,
// each wraps the next, and the innermost is told by the class.
func detailsOf(e *record.Error, parts int) []part {
	var d detail
	if json.Unmarshal(e.Detail.Data, &d) == nil && len(d.Errors) == parts {
		return d.Errors
	}
	details := make([]part, parts)
	for i := range parts - 1 {
		details[i].Wraps = 1
	}
	if name, ok := classValues[e.Class]; ok {
		details[parts-1].Is = []string{name}
	}
	if e.Timeout || e.Temp {
		details[0].Timeout, details[0].Temporary = &e.Timeout, &e.Temp
	}
	return details
}

// A builder goes through the parts of an error, depth first.
type builder struct {
	kinds   kinds
	parts   []record.ErrorPart
	details []part
}

// next builds the error that the next part begins. There must be one.
func (b *builder) next() error {
	says, how := b.parts[0], b.details[0]
	b.parts, b.details = b.parts[1:], b.details[1:]
	var wrapped []error
	for range how.Wraps {
		if len(b.parts) == 0 {
			break
		}
		wrapped = append(wrapped, b.next())
	}
	err := b.known(how, wrapped)
	if err == nil {
		return b.plain(says, how, wrapped)
	}
	if text, ok := textSafely(err); ok && text == says.Message {
		return err
	} else if !ok {
		return b.plain(says, how, wrapped)
	}
	return retell(says, err)
}

// known rebuilds an error of a known kind. It returns nil where that fails: fields may have been redacted.
func (b *builder) known(how part, wrapped []error) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	kind := b.kinds.named(how.Kind)
	switch {
	case kind == nil:
		return nil
	case kind.Value != nil:
		return kind.Value
	}
	return kind.Rebuild(how.Fields, wrapped)
}

func (b *builder) plain(says record.ErrorPart, how part, wrapped []error) error {
	p := &plain{typeName: says.Type, text: says.Message, wrapped: wrapped}
	for _, name := range how.Is {
		if kind := b.kinds.named(name); kind != nil && kind.Value != nil {
			p.is = append(p.is, kind.Value)
		}
	}
	return p.answering(how.Joined || len(wrapped) > 1, how.Timeout, how.Temporary)
}

// textSafely returns the text of a rebuilt error. One with missing fields may panic when it is asked.
func textSafely(err error) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return err.Error(), true
}

// retell returns an error with another text that is otherwise err: some types compute their text from fields that only their
// own package can set, and a redacted text is not the one they would compute.
func retell(says record.ErrorPart, err error) error {
	p := &plain{typeName: says.Type, text: says.Message, wrapped: []error{err}, known: err}
	timeout, temporary := answersOf(err)
	return p.answering(false, timeout, temporary)
}

// plain is an error of a type that cannot be rebuilt.
type plain struct {
	typeName string
	text     string
	wrapped  []error
	is       []error
	known    error // the error that this is but for its text, nil for errors of unknown types
}

func (p *plain) Error() string        { return p.text }
func (p *plain) recordedType() string { return p.typeName }
func (p *plain) retold() error        { return p.known }

func (p *plain) Is(target error) bool {
	for _, err := range p.is {
		if err == target {
			return true
		}
	}
	return false
}

// The methods of an error are part of what code asks about it, so each comes as a type to embed.
type (
	chain       struct{ *plain }
	join        struct{ *plain }
	isTimeout   bool
	isTemporary bool
)

func (c chain) Unwrap() error {
	if len(c.wrapped) == 0 {
		return nil
	}
	return c.wrapped[0]
}

func (j join) Unwrap() []error        { return j.wrapped }
func (t isTimeout) Timeout() bool     { return bool(t) }
func (t isTemporary) Temporary() bool { return bool(t) }

// answering returns the error with the methods that it shall have: nil is for those it shall not.
func (p *plain) answering(joined bool, timeout, temporary *bool) error {
	if joined {
		return p.answeringJoined(timeout, temporary)
	}
	switch {
	case timeout != nil && temporary != nil:
		return struct {
			chain
			isTimeout
			isTemporary
		}{chain{p}, isTimeout(*timeout), isTemporary(*temporary)}
	case timeout != nil:
		return struct {
			chain
			isTimeout
		}{chain{p}, isTimeout(*timeout)}
	case temporary != nil:
		return struct {
			chain
			isTemporary
		}{chain{p}, isTemporary(*temporary)}
	}
	return chain{p}
}

func (p *plain) answeringJoined(timeout, temporary *bool) error {
	switch {
	case timeout != nil && temporary != nil:
		return struct {
			join
			isTimeout
			isTemporary
		}{join{p}, isTimeout(*timeout), isTemporary(*temporary)}
	case timeout != nil:
		return struct {
			join
			isTimeout
		}{join{p}, isTimeout(*timeout)}
	case temporary != nil:
		return struct {
			join
			isTemporary
		}{join{p}, isTemporary(*temporary)}
	}
	return join{p}
}
