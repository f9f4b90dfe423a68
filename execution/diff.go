package execution

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ChangeKind is how a value differs.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// A Difference is one place in which two JSON documents differ.
type Difference struct {
	Path     string     `json:"path"` // "$.body.items[2].price"
	Kind     ChangeKind `json:"kind"`
	Expected any        `json:"expected,omitempty"`
	Actual   any        `json:"actual,omitempty"`
}

// maxDifferences bounds what is listed: after so many, documents are just not the same.
const maxDifferences = 100

// Diff compares two JSON documents and returns where they differ, in the order of paths, leaving out the paths of volatile and
// all below them. A path with "*" as a step stands for any. Documents within strings, as bodies of HTTP are, are compared as
// documents. What is not JSON is compared as text.
func Diff(expected, actual []byte, volatile []string) []Difference {
	if bytes.Equal(expected, actual) {
		return nil
	}
	d := differ{}
	for _, path := range volatile {
		d.volatile = append(d.volatile, steps(path))
	}
	d.compare(nil, document(expected), document(actual))
	return d.found
}

func document(data []byte) any {
	if len(data) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return string(data)
	}
	return v
}

// steps splits "$.a.b[0]" into "a", "b", "0".
func steps(path string) []string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(strings.TrimPrefix(path, "$"))
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' })
}

type differ struct {
	volatile [][]string
	found    []Difference
}

func (d *differ) compare(path []string, expected, actual any) {
	if len(d.found) >= maxDifferences || d.isVolatile(path) {
		return
	}
	switch e := expected.(type) {
	case map[string]any:
		if a, ok := actual.(map[string]any); ok {
			d.objects(path, e, a)
			return
		}
	case []any:
		if a, ok := actual.([]any); ok {
			d.arrays(path, e, a)
			return
		}
	case string:
		if a, ok := actual.(string); ok && e != a && looksLikeJSON(e) && looksLikeJSON(a) {
			d.compare(path, document([]byte(e)), document([]byte(a)))
			return
		}
	}
	d.leaves(path, expected, actual)
}

func looksLikeJSON(s string) bool {
	return s != "" && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s))
}

func (d *differ) objects(path []string, e, a map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(e)), maps.Keys(a))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		ev, inE := e[key]
		av, inA := a[key]
		d.child(append(path, key), ev, inE, av, inA)
	}
}

func (d *differ) arrays(path []string, e, a []any) {
	for i := range max(len(e), len(a)) {
		var ev, av any
		if i < len(e) {
			ev = e[i]
		}
		if i < len(a) {
			av = a[i]
		}
		d.child(append(path, strconv.Itoa(i)), ev, i < len(e), av, i < len(a))
	}
}

func (d *differ) child(path []string, e any, inE bool, a any, inA bool) {
	switch {
	case inE && inA:
		d.compare(path, e, a)
	case d.isVolatile(path) || len(d.found) >= maxDifferences:
	case inE:
		d.found = append(d.found, Difference{Path: join(path), Kind: Removed, Expected: e})
	default:
		d.found = append(d.found, Difference{Path: join(path), Kind: Added, Actual: a})
	}
}

func (d *differ) leaves(path []string, expected, actual any) {
	if same, _ := json.Marshal(expected); bytes.Equal(same, mustMarshal(actual)) {
		return
	}
	d.found = append(d.found, Difference{Path: join(path), Kind: Changed, Expected: expected, Actual: actual})
}

// mustMarshal marshals what json.Decoder made.
func mustMarshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func join(path []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, step := range path {
		if _, err := strconv.Atoi(step); err == nil {
			b.WriteString("[" + step + "]")
		} else {
			b.WriteString("." + step)
		}
	}
	return b.String()
}

func (d *differ) isVolatile(path []string) bool {
	return slices.ContainsFunc(d.volatile, func(v []string) bool {
		if len(v) == 0 || len(v) > len(path) {
			return false
		}
		for i, step := range v {
			if step != "*" && step != path[i] {
				return false
			}
		}
		return true
	})
}
