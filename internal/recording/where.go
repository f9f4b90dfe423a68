package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// ErrBadCondition is returned for text that is no condition.
var ErrBadCondition = errors.New("bad condition")

// Condition is a condition on a field of a record, as "req.body.orderId=1009".
//
// A field is a root and names or numbers of elements, with dots between them: req (input), res (output), error (class, message,
// type, code), label.NAME, note.NAME, trigger (kind, method, route, path, query, peer), and op (of any operation: boundary,
// target, shape, state, effect, req, res, error). Names with dots are quoted: req.headers."x.trace". A name in an array means
// that of any element. Text that is JSON, as a body may be, is looked into. Where there is no such name, one that differs in
// case is taken.
//
// Operators are = != < <= > >= and ~ (contains). A condition holds when it does for any value that the field has; != holds when
// the field has a value and none is equal. Numbers compare as numbers, all else as text; true, false and null are written so.
type Condition struct {
	root     string
	path     []string
	operator string
	value    string
}

// operators, those first of which others are a part.
var operators = []string{"!=", "<=", ">=", "=", "<", ">", "~"}

// roots say what of a record a field is in, as a value of JSON.
var roots = map[string]func(*record.Execution) []any{
	"req":   func(x *record.Execution) []any { return payloadValues(x.Input) },
	"res":   func(x *record.Execution) []any { return payloadValues(x.Output) },
	"error": func(x *record.Execution) []any { return errorValues(x.Error) },
	"label": func(x *record.Execution) []any { return []any{textObject(x.Labels)} },
	"note":  func(x *record.Execution) []any { return noteValues(x.Notes) },
	"trigger": func(x *record.Execution) []any {
		t := x.Trigger
		return []any{textObject(map[string]string{
			"kind": string(t.Kind), "method": t.Method, "route": t.Route, "path": t.Path, "query": t.Query, "peer": t.Peer,
		})}
	},
	"op": func(x *record.Execution) []any { return operationValues(x.Checkpoints) },
}

// ParseCondition parses a condition. The error is ErrBadCondition.
func ParseCondition(text string) (Condition, error) {
	path, rest, err := parsePath(text)
	if err != nil {
		return Condition{}, err
	}
	c := Condition{root: path[0], path: path[1:]}
	for _, operator := range operators {
		if value, ok := strings.CutPrefix(rest, operator); ok {
			c.operator, c.value = operator, strings.TrimSpace(value)
			break
		}
	}
	switch {
	case c.operator == "":
		return Condition{}, fmt.Errorf("%w: %q has no operator, as in req.body.orderId=1009", ErrBadCondition, text)
	case roots[c.root] == nil:
		return Condition{}, fmt.Errorf("%w: %q begins with none of error, label, note, op, req, res, trigger", ErrBadCondition, text)
	case slices.Contains(c.path, ""):
		return Condition{}, fmt.Errorf("%w: %q has an empty name", ErrBadCondition, text)
	}
	return c, nil
}

// parsePath splits the names at the beginning of a condition from what follows them.
func parsePath(text string) (path []string, rest string, err error) {
	for rest = text; ; rest = rest[1:] {
		var name string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if name, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, "", fmt.Errorf("%w: %q has a quote that does not end", ErrBadCondition, text)
			}
		} else {
			end := strings.IndexAny(rest, ".=!<>~")
			if end < 0 {
				end = len(rest)
			}
			name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		path = append(path, name)
		if rest = strings.TrimLeft(rest, " "); !strings.HasPrefix(rest, ".") {
			return path, rest, nil
		}
	}
}

func holdAll(all []Condition, x *record.Execution) bool {
	return !slices.ContainsFunc(all, func(c Condition) bool { return !c.holds(x) })
}

func (c Condition) holds(x *record.Execution) bool {
	var values []any
	for _, root := range roots[c.root](x) {
		values = appendValues(values, root, c.path)
	}
	if c.operator == "!=" {
		return len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { return compares(v, "=", c.value) })
	}
	return slices.ContainsFunc(values, func(v any) bool { return compares(v, c.operator, c.value) })
}

// words returns words that every execution has for which the condition holds, unless it has words that are no terms. None means
// that words do not tell.
func (c Condition) words() (all []string) {
	isPayload := c.root == "req" || c.root == "res"
	isHeader := slices.ContainsFunc(c.path, func(name string) bool {
		return strings.EqualFold(name, "header") || strings.EqualFold(name, "headers")
	})
	switch {
	case !isPayload || isHeader || len(c.path) == 0 || c.operator != "=":
		return nil
	case c.value == "true" || c.value == "false" || c.value == "null", plainNumber(c.value) != c.value,
		strings.HasPrefix(c.value, "{"), strings.HasPrefix(c.value, "["):
		return nil // these are no words, or there are other ways to write them
	}
	for word := range splitWords(c.value) {
		all = append(all, word)
	}
	return all
}

// appendValues appends the values that a field has in a value of JSON.
func appendValues(values []any, value any, path []string) []any {
	if elements, ok := value.([]any); ok {
		if len(path) > 0 {
			if i, err := strconv.Atoi(path[0]); err == nil {
				if i >= 0 && i < len(elements) {
					return appendValues(values, elements[i], path[1:])
				}
				return values
			}
		}
		for _, element := range elements {
			values = appendValues(values, element, path)
		}
		return values
	}
	if len(path) == 0 {
		return append(values, value)
	}
	switch value := value.(type) {
	case string:
		if inner, ok := nested(value); ok {
			return appendValues(values, inner, path)
		}
	case map[string]any:
		if inner, ok := member(value, path[0]); ok {
			return appendValues(values, inner, path[1:])
		}
		if text, ok := value["text"].(string); ok { // a body that is more than its text
			return appendValues(values, text, path)
		}
	}
	return values
}

// member returns what an object has under a name, or else under a name that differs from it in case.
func member(object map[string]any, name string) (any, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	found := ""
	for other := range object {
		if strings.EqualFold(other, name) && (found == "" || other < found) {
			found = other
		}
	}
	value, ok := object[found]
	return value, ok && found != ""
}

func compares(value any, operator, want string) bool {
	got := plainText(value)
	if operator == "~" {
		return strings.Contains(got, want)
	}
	order := strings.Compare(got, want)
	if number, ok := value.(json.Number); ok && got != want {
		a, errA := number.Float64()
		b, errB := strconv.ParseFloat(want, 64)
		switch {
		case errA != nil || errB != nil:
		case a < b:
			order = -1
		case a > b:
			order = 1
		default:
			order = 0
		}
	}
	switch operator {
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// plainText is a value as conditions compare it.
func plainText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	text, _ := json.Marshal(value) // of what was decoded from JSON, so it has such a form
	return string(text)
}

func payloadValues(p record.Payload) []any {
	value, ok := decodeJSON(p.Data)
	if !ok {
		return nil
	}
	return []any{value}
}

func payloadValue(p record.Payload) any {
	value, _ := decodeJSON(p.Data)
	return value
}

// textObject returns an object with the texts that are not empty.
func textObject(texts map[string]string) map[string]any {
	object := make(map[string]any, len(texts))
	for name, text := range texts {
		if text != "" {
			object[name] = text
		}
	}
	return object
}

func errorValues(e *record.Error) []any {
	if e == nil {
		return nil
	}
	return []any{textObject(map[string]string{"class": string(e.Class), "message": e.Message, "type": e.Type, "code": e.Code})}
}

func noteValues(notes []record.Note) (all []any) {
	for i := range notes {
		all = append(all, map[string]any{notes[i].Name: payloadValue(notes[i].Value)})
	}
	return all
}

func operationValues(checkpoints []record.Checkpoint) (all []any) {
	for i := range checkpoints {
		c := &checkpoints[i]
		object := textObject(map[string]string{
			"boundary": c.Boundary, "target": c.Target, "shape": c.Shape, "state": string(c.State), "effect": string(c.Effect),
		})
		object["req"], object["res"] = payloadValue(c.Request), payloadValue(c.Response)
		if values := errorValues(c.Error); values != nil {
			object["error"] = values[0]
		}
		all = append(all, object)
	}
	return all
}
