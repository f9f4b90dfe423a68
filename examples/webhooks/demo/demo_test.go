package main

import (
	"bytes"
	"testing"
)

// TestDemo is G-165, and the flow of the example: fail, why, replay with the fix, resume.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}
