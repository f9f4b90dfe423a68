package why

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

// field returns the value at a path of names in a JSON document, nil when there is none.
func field(data []byte, path ...string) any {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// text returns a string at a path, "" when there is none.
func text(data []byte, path ...string) string {
	s, _ := field(data, path...).(string)
	return s
}

// statusOf returns the status that an HTTP operation was answered with, 0 when there is none.
func statusOf(cp *record.Checkpoint) int {
	if cp.Boundary != "http" {
		return 0
	}
	status, _ := field(cp.Response.Data, "status").(float64)
	return int(status)
}

// responseBody returns the beginning of the body that an HTTP operation was answered with, for a line of evidence.
func responseBody(cp *record.Checkpoint) string {
	body := text(cp.Response.Data, "body")
	if body == "" {
		body = text(cp.Response.Data, "body", "text")
	}
	return shorten(strings.Join(strings.Fields(body), " "), 120)
}

// shorten cuts a text to at most n bytes, between characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// code returns the code of an operation's error, "" when it has none.
func code(cp *record.Checkpoint) string {
	if cp.Error == nil {
		return ""
	}
	return cp.Error.Code
}

func isSQL(cp *record.Checkpoint) bool { return cp.Boundary == "sql" || cp.Boundary == "postgres" }

// findText returns the first string under a name (in any case) anywhere in a JSON document, "" when there is none.
func findText(data []byte, name string) string {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return ""
	}
	return findIn(v, name)
}

func findIn(v any, name string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if s, ok := v[key].(string); ok && s != "" && (strings.EqualFold(key, name) || strings.EqualFold(key, name+"Name")) {
				return s
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if s := findIn(v[key], name); s != "" {
				return s
			}
		}
	case []any:
		for _, item := range v {
			if s := findIn(item, name); s != "" {
				return s
			}
		}
	}
	return ""
}
