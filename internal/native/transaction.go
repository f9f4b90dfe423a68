package native

import (
	"errors"
	"fmt"
	"sync"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/message"
)

// operations appends to dst what a transaction of the schema asks for. It does the checks that need no order, so that the
// sequencer meets nothing that it must look into.
func (s *Service) operations(dst []engine.Operation, tx *fluxv1.Transaction) ([]engine.Operation, error) {
	for _, in := range tx.GetAppends() {
		op, err := s.appendOperation(in)
		if err != nil {
			return nil, err
		}
		dst = append(dst, op)
	}
	for _, in := range tx.GetPositions() {
		op, err := storeOperation(in)
		if err != nil {
			return nil, err
		}
		dst = append(dst, op)
	}
	dst, err := s.stateOperations(dst, tx)
	if err == nil && len(dst) == 0 {
		err = invalid("transaction without any change")
	}
	return dst, err
}

// stateOperations appends to dst what a transaction changes besides logs and positions.
func (s *Service) stateOperations(dst []engine.Operation, tx *fluxv1.Transaction) ([]engine.Operation, error) {
	for _, in := range tx.GetEvents() {
		op, err := s.eventOperation(in)
		if err != nil {
			return nil, err
		}
		dst = append(dst, op)
	}
	for _, in := range tx.GetValues() {
		op, err := putOperation(in)
		if err != nil {
			return nil, err
		}
		dst = append(dst, op)
	}
	for _, key := range tx.GetDeletedValues() {
		dst = append(dst, &keyvalue.Delete{Key: key})
	}
	for _, in := range tx.GetSchedules() {
		op, err := s.scheduleOperation(in)
		if err != nil {
			return nil, err
		}
		dst = append(dst, op)
	}
	for _, id := range tx.GetCanceledSchedules() {
		dst = append(dst, &schedule.Cancel{ID: id})
	}
	return dst, nil
}

func (s *Service) appendOperation(in *fluxv1.LogAppend) (*messagelog.Append, error) {
	log, err := parseLog(in.GetLog())
	if err != nil {
		return nil, err
	}
	blocks, err := s.blocksOf(in.GetLog(), in.GetBlocks(), in.GetMessages(), in.IfLastIndex != nil)
	if err != nil {
		return nil, err
	}
	op, err := messagelog.NewAppend(log, blocks)
	if err == nil && in.IfLastIndex != nil {
		last := message.Index(in.GetIfLastIndex())
		op.IfLast = &last
	}
	return op, err
}

// blocksOf returns what is to be appended to something: as blocks or as messages, or nothing if the append is only a
// condition.
func (s *Service) blocksOf(to string, blocks []byte, messages []*fluxv1.Message, condition bool) ([]byte, error) {
	switch {
	case len(blocks) > 0 && len(messages) > 0:
		return nil, invalid("append to %s has both blocks and messages: use one of them", to)
	case len(blocks) > 0:
		return blocks, s.checkBlocks(blocks)
	case len(messages) > 0:
		return s.pack(messages)
	case !condition:
		return nil, invalid("append to %s has neither blocks nor messages", to)
	}
	return nil, nil
}

// checkBlocks refuses blocks that readers could not read, or that would take them too much memory.
func (s *Service) checkBlocks(blocks []byte) error {
	for block, err := range message.Blocks(blocks) {
		switch {
		case err != nil:
			return err
		case block.RawLen() > s.maxMessageBytes:
			return fmt.Errorf("%w: block of %d bytes when unpacked, at most %d", errTooLarge, block.RawLen(), s.maxMessageBytes)
		case block.Sparse():
			return invalid("block that went through a filter")
		}
		if err := block.Validate(); err != nil {
			return err
		}
	}
	return nil
}

var blockWriters = sync.Pool{New: func() any { return new(message.BlockWriter) }}

// pack packs messages into as many blocks as they need, back to back.
func (s *Service) pack(messages []*fluxv1.Message) ([]byte, error) {
	w := blockWriters.Get().(*message.BlockWriter)
	defer blockWriters.Put(w)
	w.Reset(message.BlockID{})
	w.Now = s.clock
	var blocks []byte
	for i, in := range messages {
		m, err := readMessage(in)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		err = w.Add(&m)
		if errors.Is(err, message.ErrBlockFull) {
			blocks = w.Seal(blocks, message.LZ4)
			err = w.Add(&m)
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
	}
	return w.Seal(blocks, message.LZ4), nil
}

func storeOperation(in *fluxv1.PositionUpdate) (*position.Store, error) {
	consumer, err := parseConsumer(in.GetLog(), in.GetConsumer())
	if err != nil {
		return nil, err
	}
	segments, err := parseSegments(in.GetSegments())
	if err != nil {
		return nil, err
	}
	op := &position.Store{Consumer: consumer, Segments: segments, Last: message.Index(in.GetLastIndex())}
	if in.GetIfPosition() != nil {
		expected, err := parsePosition(in.GetIfPosition())
		if err != nil {
			return nil, err
		}
		op.If = &expected
	}
	return op, nil
}

// parseLog returns the log called s; what it cannot be is message.ErrBadLog.
func parseLog(s string) (message.Log, error) {
	if s == "" {
		return message.Log{}, invalid("no log: use event, command, custom/TOPIC, …")
	}
	log, err := message.ParseLog(s)
	if err != nil && !errors.Is(err, message.ErrBadLog) {
		err = fmt.Errorf("%w: %w", message.ErrBadLog, err)
	}
	return log, err
}

func parseConsumer(log, name string) (position.Consumer, error) {
	parsed, err := parseLog(log)
	if err != nil {
		return position.Consumer{}, err
	}
	c := position.Consumer{Log: parsed, Name: message.ConsumerName(name)}
	return c, c.Validate()
}

// parseSegments returns all segments for none.
func parseSegments(in *fluxv1.SegmentRange) (message.SegmentRange, error) {
	if in == nil {
		return message.AllSegments, nil
	}
	r := message.SegmentRange{Start: int(in.GetStart()), End: int(in.GetEnd())}
	if err := r.Validate(); err != nil {
		return r, err
	}
	if r.Empty() {
		return r, fmt.Errorf("%w: %s is empty", message.ErrBadRange, r)
	}
	return r, nil
}

func parsePosition(in *fluxv1.Position) (message.Position, error) {
	var p message.Position
	for _, part := range in.GetRanges() {
		r, err := parseSegments(&fluxv1.SegmentRange{Start: part.GetStart(), End: part.GetEnd()})
		if err != nil {
			return p, err
		}
		if !p.IsNew(r) {
			return p, fmt.Errorf("%w: %s overlaps another range", message.ErrBadPosition, r)
		}
		p = p.With(r, message.Index(part.GetLastIndex()))
	}
	return p, nil
}
