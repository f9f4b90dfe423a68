package redact

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync/atomic"
)

// A pattern matches names or keys: a glob in which * stands for anything, or a regular expression between slashes. Names
// match whatever their case, and with or without - and _ in them.
type pattern struct {
	parts  []string       // of a glob, between the stars
	regexp *regexp.Regexp // nil for globs
}

// compilePattern compiles a pattern. The text of globs goes through fold first.
func compilePattern(text string, fold func(string) string) (pattern, error) {
	if len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/' {
		compiled, err := regexp.Compile("(?i)" + text[1:len(text)-1])
		if err != nil {
			return pattern{}, fmt.Errorf("%s is no regular expression: %w", text, err)
		}
		return pattern{regexp: compiled}, nil
	}
	if fold(text) == "" {
		return pattern{}, fmt.Errorf("%q matches nothing", text)
	}
	return pattern{parts: strings.Split(fold(text), "*")}, nil
}

// matches compares with a name as it is, for regular expressions, and folded, for globs.
func (p *pattern) matches(name, folded string) bool {
	if p.regexp != nil {
		return p.regexp.MatchString(name)
	}
	last := len(p.parts) - 1
	rest, ok := strings.CutPrefix(folded, p.parts[0])
	if !ok || last == 0 {
		return ok && rest == ""
	}
	for _, part := range p.parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, p.parts[last])
}

// foldName makes names equal that mean the same: apiKey, API_KEY and api-key.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

func sameText(text string) string { return text }

// maxCached bounds a cache. Names of fields and texts of statements are few in most programs; those of one that makes them
// up are looked at each time.
const (
	maxCached      = 1024
	maxCachedBytes = 4096
)

// A cache remembers what was found out about a name. Reading it takes no lock; it is copied to be written.
type cache[V any] struct{ known atomic.Pointer[map[string]V] }

func (c *cache[V]) get(name []byte) (value V, ok bool) {
	if known := c.known.Load(); known != nil {
		value, ok = (*known)[string(name)]
	}
	return value, ok
}

func (c *cache[V]) getText(name string) (value V, ok bool) {
	if known := c.known.Load(); known != nil {
		value, ok = (*known)[name]
	}
	return value, ok
}

// put returns the value, having remembered it if there was room.
func (c *cache[V]) put(name []byte, value V) V {
	known := c.known.Load()
	if known == nil {
		known = &map[string]V{}
	}
	if len(*known) < maxCached && len(name) <= maxCachedBytes {
		more := maps.Clone(*known)
		more[string(name)] = value
		c.known.Store(&more) // what another goroutine remembers meanwhile is found out again
	}
	return value
}
