package native

import (
	"context"
	"errors"
	"io"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/keyvalue"
)

const (
	// maxValueReads is how many requests of one ReadValues are read at a time, so that one for values that the disk has to bring
	// does not hold up those for values in memory. Beyond it requests are not taken from the stream, so that the client's flow
	// control stops it.
	maxValueReads = 4
	// maxValuesBytes is the size from which on a response of ReadValues takes no further value. What is left goes into another,
	// behind those of other requests.
	maxValuesBytes = 1 << 20
)

// readValuesStream is a stream of ReadValues.
type readValuesStream = connect.BidiStream[fluxv1.ReadValuesRequest, fluxv1.ReadValuesResponse]

// ReadValues serves the procedure of this name.
func (s keyValueService) ReadValues(ctx context.Context, stream *readValuesStream) error {
	r := &valueReading{keyValueService: s, ctx: ctx, stream: stream}
	r.answering.SetLimit(maxValueReads)
	err := r.receive()
	if failed := r.answering.Wait(); err == nil {
		err = failed
	}
	if s.closing.Err() != nil {
		return errClosing
	}
	return err
}

// valueReading is a ReadValues that goes on. Its own goroutine receives requests, and starts one for each of them.
type valueReading struct {
	keyValueService
	ctx       context.Context
	stream    *readValuesStream
	sending   sync.Mutex
	answering errgroup.Group
}

func (r *valueReading) receive() error {
	for {
		request, err := r.stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && len(request.GetKeys()) > maxKeys {
			err = invalid("%d keys: use up to %d", len(request.GetKeys()), maxKeys)
		}
		if err != nil {
			return err
		}
		r.answering.Go(func() error { return r.answer(request) })
	}
}

// answer answers a request, in as many responses as its values need. No view is open while it sends: a slow client would make
// the store keep what is replaced meanwhile.
func (r *valueReading) answer(request *fluxv1.ReadValuesRequest) error {
	response := &fluxv1.ReadValuesResponse{Number: request.GetNumber()}
	keys := request.GetKeys()
	for first := true; first || len(keys) > 0; first = false {
		response.Values = r.read(keys)
		if err := r.send(response); err != nil {
			return err
		}
		response.Answered += uint32(len(response.Values))
		keys = keys[len(response.Values):]
	}
	return nil
}

func (r *valueReading) send(response *fluxv1.ReadValuesResponse) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	return r.stream.Send(response)
}

// foundValue is a value as a response has it. Its parts lie together because there are many of them.
type foundValue struct {
	read  fluxv1.ReadValue
	value fluxv1.Value
	data  fluxv1.Value_Data
}

// read reads the first of the keys, as many as go into a response.
func (r *valueReading) read(keys []string) []*fluxv1.ReadValue {
	reader := r.values.Reader(namespaceOf(r.ctx))
	defer reader.Close()
	found := make([]foundValue, len(keys))
	values := make([]*fluxv1.ReadValue, 0, len(keys))
	size := 0
	for i, key := range keys {
		if size >= maxValuesBytes {
			break
		}
		value, ok, err := get(reader, key)
		switch {
		case err != nil:
			found[i].read.Error = r.refusal(err)
		case ok:
			found[i].set(&value)
			size += len(value.Data)
		}
		values = append(values, &found[i].read)
	}
	return values
}

func get(reader *keyvalue.Reader, key string) (keyvalue.Value, bool, error) {
	if err := keyvalue.ValidateKey(key); err != nil {
		return keyvalue.Value{}, false, err
	}
	return reader.Get(key)
}

func (f *foundValue) set(v *keyvalue.Value) {
	f.read.Value = &f.value
	f.value.Type, f.value.Revision, f.value.Format = validText(v.Type), v.Revision, validText(v.Format)
	if v.Data != nil {
		f.data.Data = v.Data
		f.value.Payload = &f.data
	}
}

// refusal returns why a key was not read. A defect of the store goes to the log too.
func (r *valueReading) refusal(err error) *fluxv1.ReadError {
	if classOf(err) == internal {
		r.logger.Error("value not read", "error", err)
	}
	return &fluxv1.ReadError{Detail: detail(err), Message: text(err)}
}
