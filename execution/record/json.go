package record

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// payloadJSON is a payload with its data as it is. Data that is no JSON, which only a damaged record has, is shown as base64.
type payloadJSON struct {
	Data      json.RawMessage `json:"data,omitempty"`
	Base64    []byte          `json:"base64,omitempty"`
	Truncated bool            `json:"truncated,omitempty"`
}

// MarshalJSON implements json.Marshaler: {"data": …, "truncated": true}.
func (p Payload) MarshalJSON() ([]byte, error) {
	out := payloadJSON{Truncated: p.Truncated}
	if json.Valid(p.Data) {
		out.Data = p.Data
	} else {
		out.Base64 = p.Data
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Payload) UnmarshalJSON(data []byte) error {
	var in payloadJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*p = Payload{Data: in.Data, Truncated: in.Truncated}
	if in.Data == nil {
		p.Data = in.Base64
	}
	return nil
}

// String returns the hash in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash of %d digits, want %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}
