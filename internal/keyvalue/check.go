package keyvalue

import "github.com/flux-go/flux/internal/engine"

// NewCheck returns the check of values for engine.View.Verify: keys that could have been put, and values that decode.
func NewCheck() engine.Check {
	return engine.CheckFunc{Family: engine.FamilyValue, Check: func(key engine.Key, value []byte) error {
		if err := ValidateKey(key.Rest); err != nil {
			return err
		}
		_, err := decodeValue(value)
		return err
	}}
}
