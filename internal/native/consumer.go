package native

import (
	"context"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// trackingService serves fluxv1connect.TrackingServiceHandler.
type trackingService struct{ *Service }

// defaultPollPurge is when trackers that poll lose their segments unless they say otherwise.
const defaultPollPurge = time.Minute

// Poll serves the procedure of this name.
func (s trackingService) Poll(
	ctx context.Context, r *connect.Request[fluxv1.PollRequest],
) (*connect.Response[fluxv1.PollResponse], error) {
	tracker, err := readTracker(ctx, r.Msg.GetTracker())
	if err != nil {
		return nil, err
	}
	if tracker.PurgeTimeout == 0 {
		tracker.PurgeTimeout = defaultPollPurge
	}
	wait, err := readWait("max_wait_ms", r.Msg.GetMaxWaitMs(), 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	batch, err := s.tracking.Read(ctx, tracker, wait, nil)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	messages, err := unpack(batch.Chunks)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.PollResponse{
		Segments: writeSegments(batch.Segments), LastIndex: writeIndex(batch.Last),
		Position: writePosition(batch.Position.In(batch.Segments)), CaughtUp: batch.CaughtUp,
	}
	for i := range messages {
		out.Messages = append(out.Messages, writeMessage(&messages[i], false))
	}
	return connect.NewResponse(out), nil
}

func readTracker(ctx context.Context, in *fluxv1.Tracker) (tracking.Tracker, error) {
	log, err := parseLog(in.GetLog())
	if err != nil {
		return tracking.Tracker{}, err
	}
	const maxPurge = 24 * time.Hour
	if purge := in.GetPurgeTimeoutMs(); purge < 0 || purge > maxPurge.Milliseconds() {
		return tracking.Tracker{}, invalid("purge_timeout_ms %d: use 0 to %d", purge, maxPurge.Milliseconds())
	}
	return tracking.Tracker{
		Namespace: namespaceOf(ctx), Log: log, Consumer: message.ConsumerName(in.GetConsumer()), ID: in.GetTrackerId(),
		ClientID: in.GetClientId(), Protocol: "native", Weight: int(in.GetWeight()), TypeFilter: in.GetTypeFilter(),
		FilterTarget: in.GetFilterTarget(), IgnoreSegment: in.GetIgnoreSegment(), Single: in.GetSingleTracker(),
		ClientControlled: in.GetClientControlledIndex(), Last: readIndex(in.LastIndex), MaxSize: int(in.GetMaxSize()),
		MaxBytes: int(in.GetMaxBytes()), PurgeTimeout: time.Duration(in.GetPurgeTimeoutMs()) * time.Millisecond,
	}, nil
}

// Disconnect serves the procedure of this name.
func (s trackingService) Disconnect(
	ctx context.Context, r *connect.Request[fluxv1.DisconnectRequest],
) (*connect.Response[fluxv1.DisconnectResponse], error) {
	consumer, err := parseConsumer(r.Msg.GetLog(), r.Msg.GetConsumer())
	if err != nil {
		return nil, err
	}
	s.tracking.Disconnect(namespaceOf(ctx), consumer, r.Msg.GetTrackerId(), true)
	return connect.NewResponse(&fluxv1.DisconnectResponse{}), nil
}

// StorePosition serves the procedure of this name.
func (s trackingService) StorePosition(
	ctx context.Context, r *connect.Request[fluxv1.StorePositionRequest],
) (*connect.Response[fluxv1.StorePositionResponse], error) {
	consumer, err := parseConsumer(r.Msg.GetLog(), r.Msg.GetConsumer())
	if err != nil {
		return nil, err
	}
	segments, err := parseSegments(r.Msg.GetSegments())
	if err != nil {
		return nil, err
	}
	err = s.tracking.StorePosition(ctx, namespaceOf(ctx), consumer, segments, message.Index(r.Msg.GetLastIndex()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.StorePositionResponse{}), nil
}

// ResetPosition serves the procedure of this name.
func (s trackingService) ResetPosition(
	ctx context.Context, r *connect.Request[fluxv1.ResetPositionRequest],
) (*connect.Response[fluxv1.ResetPositionResponse], error) {
	consumer, err := parseConsumer(r.Msg.GetLog(), r.Msg.GetConsumer())
	if err != nil {
		return nil, err
	}
	last, err := resetTo(r.Msg)
	if err != nil {
		return nil, err
	}
	if err := s.tracking.ResetPosition(ctx, namespaceOf(ctx), consumer, last); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.ResetPositionResponse{LastIndex: int64(last)}), nil
}

func resetTo(in *fluxv1.ResetPositionRequest) (message.Index, error) {
	switch to := in.GetTo().(type) {
	case *fluxv1.ResetPositionRequest_LastIndex:
		return message.Index(to.LastIndex), checkLast(to.LastIndex)
	case *fluxv1.ResetPositionRequest_Since:
		first, err := indexAtMilli(to.Since)
		return first - 1, err
	}
	return 0, invalid("neither last_index nor since")
}

// checkLast refuses what can be nobody's last index.
func checkLast(last int64) error {
	if message.Index(last) < message.Beginning {
		return invalid("last_index %d: use -1 for the beginning, or an index", last)
	}
	return nil
}

// GetConsumer serves the procedure of this name. A consumer that nobody has heard of is not found.
func (s trackingService) GetConsumer(
	ctx context.Context, r *connect.Request[fluxv1.GetConsumerRequest],
) (*connect.Response[fluxv1.GetConsumerResponse], error) {
	consumer, err := parseConsumer(r.Msg.GetLog(), r.Msg.GetConsumer())
	if err != nil {
		return nil, err
	}
	info, err := s.tracking.Consumer(ctx, namespaceOf(ctx), consumer)
	if err != nil {
		return nil, err
	}
	if info.Position.Empty() && len(info.Trackers) == 0 {
		return nil, unknownConsumer(consumer)
	}
	return connect.NewResponse(&fluxv1.GetConsumerResponse{Consumer: writeConsumer(info)}), nil
}

// ListConsumers serves the procedure of this name.
func (s trackingService) ListConsumers(
	ctx context.Context, r *connect.Request[fluxv1.ListConsumersRequest],
) (*connect.Response[fluxv1.ListConsumersResponse], error) {
	var log *message.Log
	if name := r.Msg.GetLog(); name != "" {
		parsed, err := parseLog(name)
		if err != nil {
			return nil, err
		}
		log = &parsed
	}
	infos, err := s.tracking.Consumers(ctx, namespaceOf(ctx), log)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListConsumersResponse{}
	for _, info := range infos {
		out.Consumers = append(out.Consumers, writeConsumer(info))
	}
	return connect.NewResponse(out), nil
}

func writeConsumer(info tracking.ConsumerInfo) *fluxv1.Consumer {
	out := &fluxv1.Consumer{
		Log: info.Consumer.Log.String(), Consumer: string(info.Consumer.Name), Position: writePosition(info.Position),
	}
	for _, t := range info.Trackers {
		out.Trackers = append(out.Trackers, &fluxv1.Consumer_TrackerState{
			TrackerId: t.ID, ClientId: t.ClientID, Segments: writeSegments(t.Segments), Active: t.Active,
			Since: t.Since.UnixMilli(), Weight: int32(t.Weight), Protocol: t.Protocol,
		})
	}
	for _, l := range info.Lag {
		out.Lag = append(out.Lag, &fluxv1.Consumer_Lag{
			Segments: writeSegments(l.Segments), LastIndex: int64(l.Last), Messages: int64(l.Messages), More: l.More,
			Millis: l.Behind.Milliseconds(), TrackerId: l.TrackerID,
		})
	}
	return out
}

func unknownConsumer(c position.Consumer) error {
	return hinted{
		notFoundf("no consumer %q of log %s", c.Name, c.Log),
		"a consumer exists from its first position or tracker on; ListConsumers shows them",
	}
}
