package fluxgrpc

import (
	"encoding/json"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// statusFields is a status as records have it.
type statusFields struct {
	Code    codes.Code `json:"code"`
	Message string     `json:"message,omitempty"`
	Details []detail   `json:"details,omitempty"`
}

// detail is a detail of a status: JSON where its type is known to this program, else wire bytes.
type detail struct {
	JSON json.RawMessage `json:"json,omitempty"`
	Type string          `json:"type,omitempty"`
	Wire []byte          `json:"wire,omitempty"`
}

func fieldsOf(s *status.Status) statusFields {
	out := statusFields{Code: s.Code(), Message: s.Message()}
	for _, any := range s.Proto().GetDetails() {
		d := detail{Type: any.GetTypeUrl(), Wire: any.GetValue()}
		if data, err := protojson.Marshal(any); err == nil {
			d = detail{JSON: data}
		}
		out.Details = append(out.Details, d)
	}
	return out
}

func (f *statusFields) err() error {
	p := status.New(f.Code, f.Message).Proto()
	for _, d := range f.Details {
		any := &anypb.Any{TypeUrl: d.Type, Value: d.Wire}
		if len(d.JSON) > 0 && protojson.Unmarshal(d.JSON, any) != nil {
			continue // what was redacted has another form
		}
		p.Details = append(p.Details, any)
	}
	return status.ErrorProto(p)
}

// kinds are the errors of calls.
var kinds = []fault.Kind{{
	Name: "grpc.Status",
	Of: func(err error) (any, bool) {
		own, ok := err.(interface{ GRPCStatus() *status.Status })
		if !ok || own.GRPCStatus() == nil {
			return nil, false
		}
		return fieldsOf(own.GRPCStatus()), true
	},
	Rebuild: func(data []byte, _ []error) error {
		var fields statusFields
		if json.Unmarshal(data, &fields) != nil {
			return nil
		}
		return fields.err()
	},
}}

// faultOf takes the error of a call apart.
func faultOf(err error) *record.Error {
	f := fault.Of(err, kinds...)
	s, ok := status.FromError(err)
	if !ok {
		return f
	}
	f.Code = s.Code().String()
	switch s.Code() {
	case codes.DeadlineExceeded:
		f.Class, f.Timeout = record.ClassDeadline, true
	case codes.Canceled:
		f.Class = record.ClassCanceled
	case codes.Unavailable:
		f.Class = record.ClassReset // the server may have had the request
		if strings.Contains(s.Message(), "connection refused") {
			f.Class = record.ClassRefused
		}
	}
	return f
}
