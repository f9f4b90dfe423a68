package capacitor

import (
	"encoding/json"
	"strings"

	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// serverName is what messages of the server itself have as the application that published them.
const serverName = "Flux"

// socketEvent is a metric about a socket, as clients read it.
type socketEvent struct {
	// Type is the discriminator that proxies of the first generation need to read it.
	Type           string  `json:"@type"`
	Client         string  `json:"client"`
	ClientID       string  `json:"clientId"`
	SessionID      string  `json:"sessionId"`
	Service        string  `json:"service"`
	Code           *int    `json:"code,omitempty"`
	Reason         *string `json:"reason,omitempty"`
	SDKVersion     string  `json:"sdkVersion,omitempty"`
	RuntimeVersion string  `json:"runtimeVersion,omitempty"`
	Timestamp      int64   `json:"timestamp"`
}

// trackerEvent is a metric about a tracker that was removed because its socket closed.
type trackerEvent struct {
	Type                string `json:"@type"`
	MessageType         string `json:"messageType"`
	Consumer            string `json:"consumer"`
	TrackerID           string `json:"trackerId"`
	SendFinalEmptyBatch bool   `json:"sendFinalEmptyBatch"`
	Guarantee           string `json:"guarantee"`
	RequestID           int64  `json:"requestId"`
}

func (s *socket) event(kind string) socketEvent {
	e := socketEvent{
		Type: kind, Client: s.clientName, ClientID: s.clientID, SessionID: s.sessionID(), Service: s.path,
		Timestamp: s.handler.Clock().UnixMilli(),
	}
	if s.fluxzero {
		e.SDKVersion, e.RuntimeVersion = s.sdkVersion, s.handler.Version
	}
	return e
}

func (s *socket) reportConnect() {
	s.report(s.metric("ConnectEvent", s.event("connectEvent")))
}

// reportDisconnect tells of trackers that were removed, then of the socket that closed.
func (s *socket) reportDisconnect(removed []tracking.Tracker, code int, reason string) {
	if s.handler.registry.closing() {
		return // every socket closes, which says nothing of clients
	}
	var all []message.Message
	for _, t := range removed {
		all = append(all, s.metric("tracking.DisconnectTracker", trackerEvent{
			Type: "disconnectTracker", MessageType: strings.ToUpper(t.Log.Type.String()), Consumer: string(t.Consumer),
			TrackerID: t.ID, Guarantee: "STORED",
		}))
	}
	e := s.event("disconnectEvent")
	e.Code, e.Reason = &code, &reason
	s.report(append(all, s.metric("DisconnectEvent", e))...)
}

// metric returns a message with a metric, whose class has the name that clients of the socket's generation look for.
func (s *socket) metric(class string, payload any) message.Message {
	raw, err := json.Marshal(payload)
	if err != nil {
		panic(err) // they have nothing that cannot be written
	}
	classes := "io.fluxcapacitor.common.api."
	metadata := map[string]string{"$applicationId": serverName}
	if s.fluxzero {
		classes = "io.fluxzero.common.api."
		metadata["$clientId"], metadata["$clientName"], metadata["sessionId"] = s.clientID, s.clientName, s.sessionID()
	}
	return message.Message{
		Type: classes + class, Payload: raw, Metadata: metadata, Timestamp: s.handler.Clock().UnixMilli(),
	}
}

// report appends metrics, unless they would be about sockets that carry metrics.
func (s *socket) report(metrics ...message.Message) {
	if s.log.Type == message.Metrics && s.kind <= trackingKind {
		return
	}
	var w message.BlockWriter
	blocks, err := pack(nil, &w, metrics)
	if err == nil {
		var op *messagelog.Append
		if op, err = messagelog.NewAppend(metricsLog, w.Seal(blocks, message.Snappy)); err == nil {
			err = s.submitThen(func(error) {}, op) // when metrics get lost so be it
		}
	}
	if err != nil {
		s.handler.Logger.Warn("capacitor: metrics were not stored", "session", s.sessionID(), "error", err)
	}
}
