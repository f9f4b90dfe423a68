package fault

import (
	"encoding/json"
)

// A Kind is a type of error that is rebuilt as itself, or a single error that is.
type Kind struct {
	// Name identifies the kind in records and must not change: "io.EOF", "pgconn.PgError".
	Name string

	// Value is the error, for a kind of which there is only one, as io.EOF. Of and Rebuild are not used then.
	Value error

	// Of returns what is needed to rebuild err besides its text and the errors it wraps; it becomes JSON. It returns false
	// when err itself, not one that it wraps, is of another type.
	Of func(err error) (fields any, ok bool)

	// Rebuild makes the error from its fields and from what it wrapped. It returns nil when that is not possible.
	Rebuild func(fields []byte, wrapped []error) error
}

// newKind returns the kind of an error type E, whose fields are taken apart into F. E wraps at most one error.
func newKind[E error, F any](name string, of func(E) F, rebuild func(fields F, wrapped error) error) Kind {
	return Kind{
		Name: name,
		Of: func(err error) (any, bool) {
			own, ok := err.(E)
			if !ok {
				return nil, false
			}
			return of(own), true
		},
		Rebuild: func(data []byte, wrapped []error) error {
			var fields F
			if len(data) > 0 && json.Unmarshal(data, &fields) != nil || len(wrapped) > 1 {
				return nil
			}
			var inner error
			if len(wrapped) == 1 {
				inner = wrapped[0]
			}
			return rebuild(fields, inner)
		},
	}
}

// newWrapper returns the kind of an error type that always wraps an error. Code that finds it may ask for that error without
// looking whether it is there.
func newWrapper[E error, F any](name string, of func(E) F, rebuild func(fields F, wrapped error) error) Kind {
	return newKind(name, of, func(fields F, wrapped error) error {
		if wrapped == nil {
			return nil
		}
		return rebuild(fields, wrapped)
	})
}

// kinds are those that a caller knows, before those of the standard library.
type kinds []Kind

func withStandard(own []Kind) kinds {
	if len(own) == 0 {
		return standard
	}
	return append(own[:len(own):len(own)], standard...)
}

// of finds the kind of an error and takes its fields.
func (k kinds) of(err error) (name string, fields json.RawMessage) {
	for i := range k {
		kind := &k[i]
		if kind.Value != nil {
			if err == kind.Value {
				return kind.Name, nil
			}
			continue
		}
		if value, ok := kind.Of(err); ok {
			if data, err := json.Marshal(value); err == nil {
				return kind.Name, data
			}
		}
	}
	return "", nil
}

func (k kinds) named(name string) *Kind {
	for i := range k {
		if k[i].Name == name {
			return &k[i]
		}
	}
	return nil
}

// takenFor returns the names of the single errors that the Is method of an error takes it for.
func (k kinds) takenFor(err error) (names []string) {
	own, ok := err.(interface{ Is(error) bool })
	if !ok {
		return nil
	}
	for i := range k {
		if value := k[i].Value; value != nil && own.Is(value) {
			names = append(names, k[i].Name)
		}
	}
	return names
}
