package cli

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// consumer asks the server about one consumer.
func (p *program) consumer(ctx context.Context, logName, name string) (*consumer, error) {
	log, err := parseLog(logName)
	if err != nil {
		return nil, err
	}
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	return c.consumer(ctx, log, name)
}

func (c *client) consumer(ctx context.Context, log message.Log, name string) (*consumer, error) {
	request := connect.NewRequest(&fluxv1.GetConsumerRequest{Log: log.String(), Consumer: name})
	answer, err := c.tracking.GetConsumer(ctx, request)
	if err != nil {
		return nil, err
	}
	return showConsumer(answer.Msg.GetConsumer()), nil
}

// consumer is a consumer as --json writes it. Ranges of segments are [start, end), indexes those of the last message
// that was handled; -1 lies before every message.
type consumer struct {
	Log       string     `json:"log"`
	Consumer  string     `json:"consumer"`
	LastIndex int64      `json:"lastIndex"` // the lowest of all segments
	Position  []position `json:"position"`
	Trackers  []tracker  `json:"trackers"`
	Lag       []lag      `json:"lag,omitempty"`
}

type segments [2]int32

func (s segments) String() string { return fmt.Sprintf("%d-%d", s[0], s[1]-1) }

func (s segments) empty() bool { return s[0] >= s[1] }

type position struct {
	Segments  segments `json:"segments"`
	LastIndex int64    `json:"lastIndex"`
}

type tracker struct {
	ID       string   `json:"id"`
	Client   string   `json:"client,omitempty"`
	Segments segments `json:"segments"`
	Active   bool     `json:"active"` // has messages in hand
	Since    string   `json:"since"`
	Weight   int32    `json:"weight"`
	Protocol string   `json:"protocol"`
}

type lag struct {
	Segments  segments `json:"segments"`
	Tracker   string   `json:"tracker,omitempty"`
	LastIndex int64    `json:"lastIndex"`
	Messages  int64    `json:"messages"`       // that wait
	More      bool     `json:"more,omitempty"` // than were counted
	Millis    int64    `json:"millis"`         // from the position to the newest message
}

func rangeOf(r *fluxv1.SegmentRange) segments { return segments{r.GetStart(), r.GetEnd()} }

func showConsumer(raw *fluxv1.Consumer) *consumer {
	c := &consumer{Log: raw.GetLog(), Consumer: raw.GetConsumer(), Position: []position{}, Trackers: []tracker{}}
	for i, part := range raw.GetPosition().GetRanges() {
		c.Position = append(c.Position, position{segments{part.GetStart(), part.GetEnd()}, part.GetLastIndex()})
		if i == 0 || part.GetLastIndex() < c.LastIndex {
			c.LastIndex = part.GetLastIndex()
		}
	}
	for _, t := range raw.GetTrackers() {
		c.Trackers = append(c.Trackers, tracker{
			t.GetTrackerId(), t.GetClientId(), rangeOf(t.GetSegments()), t.GetActive(), milli(t.GetSince()), t.GetWeight(), t.GetProtocol(),
		})
	}
	for _, part := range raw.GetLag() {
		c.Lag = append(c.Lag, lag{
			rangeOf(part.GetSegments()), part.GetTrackerId(), part.GetLastIndex(), part.GetMessages(), part.GetMore(), part.GetMillis(),
		})
	}
	return c
}

// waiting is the number of messages that wait, and whether there are more.
func (c *consumer) waiting() (messages int64, more bool) {
	for _, part := range c.Lag {
		messages += part.Messages
		more = more || part.More
	}
	return messages, more
}

// write writes the consumer for a person.
func (c *consumer) write(s *screen) error {
	messages, more := c.waiting()
	summary := plural(len(c.Trackers), "tracker") + ", " + waitingText(messages, more)
	if err := s.printf("%s of log %s: %s\n", s.bold(c.Consumer), c.Log, summary); err != nil {
		return err
	}
	if len(c.Trackers) > 0 {
		trackers := newTable("tracker", "client", "segments", "state", "since", "protocol")
		for _, t := range c.Trackers {
			trackers.add(t.ID, t.Client, t.segmentText(), t.state(), t.Since, t.Protocol)
		}
		if err := s.printf("\n"); err != nil {
			return err
		}
		if err := trackers.write(s); err != nil {
			return err
		}
	}
	if len(c.Lag) == 0 {
		return nil
	}
	parts := newTable("segments", "tracker", "handled up to", ">waiting", ">behind")
	for _, part := range c.Lag {
		behind := (time.Duration(part.Millis) * time.Millisecond).String()
		parts.add(part.Segments.String(), part.Tracker, indexTime(part.LastIndex), atLeast(part.Messages, part.More), behind)
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	return parts.write(s)
}

func (t tracker) segmentText() string {
	if t.Segments.empty() {
		return "none"
	}
	return t.Segments.String()
}

func (t tracker) state() string {
	if t.Active {
		return "handling"
	}
	return "waiting"
}

func waitingText(messages int64, more bool) string {
	if messages == 0 {
		return "nothing is waiting"
	}
	return atLeast(messages, more) + " waiting"
}

func atLeast(messages int64, more bool) string {
	if more {
		return "> " + count(messages)
	}
	return count(messages)
}

// indexTime writes an index as the time it stands for.
func indexTime(index int64) string {
	if index <= 0 {
		return "beginning"
	}
	return message.Index(index).Time().Format(timeFormat)
}
