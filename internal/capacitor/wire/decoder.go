package wire

import (
	"fmt"
	"hash/maphash"
)

// Decoder reads the requests of one socket. The zero value is ready for use; it must not be used concurrently.
type Decoder struct{ names map[string]string }

// MaxBatch is the largest number of requests in a batch that is read. Clients send up to 1,024, specialised ones 16,384.
const MaxBatch = 1 << 16

// printSeed makes prints comparable within this process.
var printSeed = maphash.MakeSeed()

// Requests reads the JSON text of a websocket message: a request, or a batch of them. It changes text, which payloads
// alias. A request that has a type nobody knows is an [Unknown]; one with a value that makes no sense has Base.Err set. The
// error is ErrMalformed when the text as a whole cannot be read; then nothing is known of who waits for an answer.
func (d *Decoder) Requests(text []byte) ([]Request, error) {
	r := &jsonReader{data: text, names: d.names}
	requests := r.requests()
	r.end()
	d.names = r.names
	return requests, r.err
}

// requests reads the top-level object.
func (r *jsonReader) requests() []Request {
	if r.peek() != '{' {
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
func (r *jsonReader) element() Request {
	if r.peek() != '{' {
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
func (r *jsonReader) findType() (kind string, ok bool) {
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
func (r *jsonReader) request(kind string) Request {
	start := r.at
	request := newRequest(kind)
	r.bad, r.ids, r.hasIDs = nil, maphash.Hash{}, false
	r.ids.SetSeed(printSeed)
	for o := r.object(); o.next(); {
		if !request.member(o.name, r) {
			r.skip()
		}
	}
	base := request.base()
	base.Err = r.bad
	switch {
	case r.hasIDs:
		base.Print = r.ids.Sum64()
	case base.Stored():
		base.Print = maphash.Bytes(printSeed, r.data[start:r.at])
	}
	return request
}
