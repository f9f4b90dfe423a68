package record

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadID is returned for text that is no id of an execution.
var ErrBadID = errors.New("bad execution id")

// An ID names an execution: a random UUID (version 4). The zero ID names none.
type ID [16]byte

// NewID returns a random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // it never fails: see its documentation
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID parses 32 hexadecimal digits with or without the dashes of a UUID. The error is ErrBadID.
func ParseID(s string) (ID, error) {
	digits, err := hexDigits(s)
	if err != nil {
		return ID{}, err
	}
	var id ID
	if len(digits) != 2*len(id) {
		return ID{}, fmt.Errorf("%w: %q has %d hexadecimal digits, an id has 32", ErrBadID, s, len(digits))
	}
	_, err = hex.Decode(id[:], digits)
	return id, err
}

// ParsePrefix parses the beginning of an id, as people type it, and returns the range of ids it stands for, both ends
// included. The prefix has 4 to 32 hexadecimal digits. The error is ErrBadID.
func ParsePrefix(s string) (first, last ID, err error) {
	digits, err := hexDigits(s)
	if err != nil {
		return ID{}, ID{}, err
	}
	if n := len(digits); n < 4 || n > 32 {
		return ID{}, ID{}, fmt.Errorf("%w: %q has %d hexadecimal digits, use 4 to 32", ErrBadID, s, n)
	}
	low, high := [32]byte{}, [32]byte{}
	for i := range low {
		low[i], high[i] = '0', 'f'
	}
	copy(low[:], digits)
	copy(high[:], digits)
	_, _ = hex.Decode(first[:], low[:])
	_, _ = hex.Decode(last[:], high[:])
	return first, last, nil
}

func hexDigits(s string) ([]byte, error) {
	digits := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			digits = append(digits, c)
		case c >= 'A' && c <= 'F':
			digits = append(digits, c-'A'+'a')
		case c != '-':
			return nil, fmt.Errorf("%w: %q has a %q", ErrBadID, s, c)
		}
	}
	return digits, nil
}

// IsZero says that the id names no execution.
func (id ID) IsZero() bool { return id == ID{} }

// Short returns the first 8 hexadecimal digits, as lists show them.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// String returns the id as a UUID, or "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	var text [36]byte
	at := 0
	for _, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if at > 0 {
			text[at] = '-'
			at++
		}
		at += hex.Encode(text[at:], part)
	}
	return string(text[:])
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}
