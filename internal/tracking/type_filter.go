package tracking

import (
	"fmt"
	"regexp"
	"strings"
)

// maxTypeFilterLen bounds a type filter, in bytes.
const maxTypeFilterLen = 16 << 10

// typeFilter accepts the types that a Java regular expression matches as a whole. Nil accepts all.
type typeFilter struct{ expression *regexp.Regexp }

// newTypeFilter returns nil for the empty pattern. What Go's expressions cannot express as Java's do is ErrBadTracker: a
// filter that lets more or less pass than it says would be worse.
func newTypeFilter(pattern string) (*typeFilter, error) {
	if pattern == "" {
		return nil, nil
	}
	if len(pattern) > maxTypeFilterLen {
		return nil, fmt.Errorf("%w: type filter of %d bytes, at most %d", ErrBadTracker, len(pattern), maxTypeFilterLen)
	}
	translated, err := translateJava(pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: type filter %q: %w", ErrBadTracker, pattern, err)
	}
	// Compiled alone first: something like "a)|(b" must not become valid by what is put around it.
	if _, err := regexp.Compile(translated); err != nil {
		return nil, fmt.Errorf("%w: type filter %q: %w", ErrBadTracker, pattern, err)
	}
	expression, err := regexp.Compile(`\A(?:` + translated + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("%w: type filter %q: %w", ErrBadTracker, pattern, err)
	}
	return &typeFilter{expression}, nil
}

func (f *typeFilter) accepts(name string) bool { return f == nil || f.expression.MatchString(name) }

// translateJava turns quotes into escaped characters, for Go knows none in classes and lets an open one swallow what is put
// after the pattern, and refuses classes that Go would read in another way.
func translateJava(pattern string) (string, error) {
	var out strings.Builder
	inClass := false
	for rest := pattern; rest != ""; {
		if quote, ok := strings.CutPrefix(rest, `\Q`); ok {
			literal, after, _ := strings.Cut(quote, `\E`) // without \E, the quote goes on to the end
			writeLiteral(&out, literal)
			rest = after
			continue
		}
		n := 1
		switch {
		case rest[0] == '\\':
			n = min(2, len(rest))
		case inClass && rest[0] == '[':
			return "", fmt.Errorf("a class within a class is not supported")
		case inClass && strings.HasPrefix(rest, "&&"):
			return "", fmt.Errorf("an intersection of classes is not supported")
		case rest[0] == '[':
			inClass = true
			n = classStart(rest)
		case rest[0] == ']':
			inClass = false
		}
		out.WriteString(rest[:n])
		rest = rest[n:]
	}
	return out.String(), nil
}

// classStart returns the length of what opens a class, in which a bracket may close nothing: "[", "[^", "[]", "[^]".
func classStart(class string) int {
	n := 1
	if strings.HasPrefix(class[n:], "^") {
		n++
	}
	if strings.HasPrefix(class[n:], "]") {
		n++
	}
	return n
}

// writeLiteral escapes every character that means something in an expression or in a class.
func writeLiteral(out *strings.Builder, literal string) {
	for _, r := range literal {
		if strings.ContainsRune(`\.+*?()|[]{}^$-&`, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
}
