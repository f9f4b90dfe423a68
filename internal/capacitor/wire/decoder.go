package wire

import (
	"fmt"
	"strings"
)

// Decoder reads the requests of one socket. The zero value reads JSON; it must not be used concurrently.
type Decoder struct {
	Format Format
	names  names
}

// MaxBatch is the largest number of requests in a batch that is read. Clients send up to 1,024, specialised ones 16,384.
const MaxBatch = 1 << 16

// Requests reads the content of a websocket message: a request, or a batch of them. It changes content, which payloads
// alias. A request that has a type nobody knows is an [Unknown]; one with a value that makes no sense has Base.Err set. The
// error is ErrMalformed when the content as a whole cannot be read; then nothing is known of who waits for an answer.
func (d *Decoder) Requests(content []byte) ([]Request, error) {
	if d.names == nil {
		d.names = make(names)
	}
	if d.Format == BINARY && strings.HasPrefix(string(content[:min(len(content), len(compactMagic))]), compactMagic) {
		r := &compactReader{input: input{data: content}, names: d.names}
		return r.requests(), r.err
	}
	r := newReader(d.Format, content, d.names)
	requests := r.requests()
	r.end()
	return requests, r.err
}

// requests reads the top-level object.
func (r *reader) requests() []Request {
	if !r.isObject() {
		r.fail("an object is expected")
		return nil
	}
	kind, ok := r.findType()
	switch {
	case r.err != nil:
		return nil
	case !ok:
		r.fail("no @type")
		return nil
	case kind != "requestBatch":
		return []Request{r.request(kind)}
	}
	var all []Request
	for o := r.object(); o.next(); {
		if string(o.name) != "requests" {
			r.skip()
			continue
		}
		for a := r.array(); a.next(); {
			if all = append(all, r.element()); len(all) > MaxBatch {
				r.fail("too many requests")
			}
		}
	}
	return all
}

// element reads a request of a batch.
func (r *reader) element() Request {
	if !r.isObject() {
		r.skip()
		return invalid("a request that is no object")
	}
	kind, ok := r.findType()
	request := r.request(kind)
	if base := request.base(); !ok && base.Err == nil {
		base.Err = fmt.Errorf("%w: no @type", ErrMalformed)
	}
	return request
}

func invalid(what string) Request {
	return &Unknown{Base{Err: fmt.Errorf("%w: %s", ErrMalformed, what)}}
}

// typeMember is the discriminator.
const typeMember = "@type"

// findType returns the discriminator of the object that comes next, wherever in it, without taking anything.
func (r *reader) findType() (kind string, ok bool) {
	start := r.at
	for o := r.object(); o.next(); {
		if string(o.name) != typeMember {
			r.skip()
			continue
		}
		if kind = r.name(); r.err == nil {
			ok = kind != ""
			break
		}
	}
	if r.err == nil {
		r.at = start
	}
	return kind, ok
}

// request reads a request of a known type.
func (r *reader) request(kind string) Request {
	start := r.at
	request := newRequest(kind)
	r.bad = nil
	r.ids.reset()
	for o := r.object(); o.next(); {
		if !request.member(o.name, r) {
			r.skip()
		}
	}
	base := request.base()
	base.Err = r.bad
	r.ids.set(base, r.data[start:r.at])
	return request
}
