package record

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
)

// maxFingerprintFrames is how many of the innermost functions of the user tell failures apart. More would separate what
// fails in one place and was called from two.
const maxFingerprintFrames = 3

// Fingerprint returns 16 hexadecimal digits that failures with the same cause share, or "" when the execution did not fail.
// Lines that moved, and values in messages and statements, do not change it. It is made of the status, class, type, code and
// message of the error, of the functions it came from, and of the operation it came from. The service has no part in it.
func Fingerprint(x *Execution) string {
	if x.Error == nil && !x.Status.Failed() {
		return ""
	}
	parts := []string{string(x.Status)}
	if x.Error != nil {
		parts = append(parts, errorParts(x.Error)...)
	} else {
		parts = append(parts, x.Trigger.Method, x.Trigger.Route, strconv.Itoa(x.HTTPStatus))
	}
	if p := culprit(x); p != nil {
		parts = append(parts, "operation", p.Boundary, Mask(p.Shape))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func errorParts(e *Error) []string {
	parts := []string{string(e.Class), e.Type, e.Code, Mask(e.Message)}
	for _, frame := range e.Frames[:min(len(e.Frames), maxFingerprintFrames)] {
		parts = append(parts, Mask(frame.Function)) // closures are numbered by their place in the file
	}
	return parts
}

// culprit returns the operation that the execution failed with: one in doubt, else the last whose error is in the
// execution's error, else the very last if it did not succeed; nil when there is none. Others failed without harm.
func culprit(x *Execution) *Checkpoint {
	var found *Checkpoint
	for i := range x.Checkpoints {
		p := &x.Checkpoints[i]
		switch {
		case p.State == StateInDoubt:
			return p
		case p.Error != nil && p.Error.Message != "" && x.Error != nil && strings.Contains(x.Error.Message, p.Error.Message):
			found = p
		case found == nil && i == len(x.Checkpoints)-1 && !p.Succeeded():
			found = p
		}
	}
	return found
}

// variable matches what differs between two occurrences of the same message: quoted text, UUIDs, long hexadecimal numbers,
// and words with digits with all that such words are joined to, as addresses and times.
var variable = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|` + "`[^`]*`" + `|\B'(?:[^']|'')*'` +
	`|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b` +
	`|\b[0-9a-fA-F]{12,}\b` +
	`|\b\w*\d\w*(?:[-+.:]\w*\d\w*)*`)

var severalVariables = regexp.MustCompile(`\?(?:[ ,]+\?)+`)

// Mask replaces the values in a message with question marks, so that messages of the same cause read the same.
func Mask(message string) string {
	return severalVariables.ReplaceAllString(variable.ReplaceAllString(message, "?"), "?")
}
