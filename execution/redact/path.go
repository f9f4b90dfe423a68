package redact

import (
	"fmt"
	"strconv"
	"strings"
)

// A jsonPath is a compiled path: $.card.number, $..password, $.items[*].key, $.items[0], $['a key'], $.*.
type jsonPath []pathStep

type pathStep struct {
	name  string // of a member; case matters
	index int    // of an element; -1 when the step is a name
	any   bool   // whatever member or element
	deep  bool   // at any depth below
}

// A pathPart is a step on the way to the value that is looked at.
type pathPart struct {
	name  []byte // of a member; nil for an element
	index int
}

func compilePath(text string) (jsonPath, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok || rest == "" {
		return nil, fmt.Errorf("path %q does not begin with $. or $[", text)
	}
	var path jsonPath
	for rest != "" {
		step, after, err := compileStep(rest)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		path, rest = append(path, step), after
	}
	return path, nil
}

func compileStep(rest string) (step pathStep, after string, err error) {
	step.index = -1
	if rest, step.deep = strings.CutPrefix(rest, ".."); step.deep {
		rest = "." + rest
	}
	switch {
	case strings.HasPrefix(strings.TrimPrefix(rest, "."), "["):
		return compileBracket(step, strings.TrimPrefix(rest, "."))
	case rest[0] != '.':
		return step, "", fmt.Errorf("%q where . or [ is expected", rest)
	}
	rest = rest[1:]
	end := strings.IndexAny(rest, ".[")
	if end < 0 {
		end = len(rest)
	}
	step.name, after = rest[:end], rest[end:]
	if step.name == "" {
		return step, "", fmt.Errorf("a name is missing before %q", after)
	}
	step.any = step.name == "*"
	return step, after, nil
}

func compileBracket(step pathStep, rest string) (pathStep, string, error) {
	inside, after, ok := strings.Cut(rest[1:], "]")
	if !ok || inside == "" {
		return step, "", fmt.Errorf("%q has no end", rest)
	}
	if quote := inside[0]; quote == '\'' || quote == '"' {
		if len(inside) < 3 || inside[len(inside)-1] != quote {
			return step, "", fmt.Errorf("name %s has no end", inside)
		}
		step.name = inside[1 : len(inside)-1]
		return step, after, nil
	}
	if step.any = inside == "*"; step.any {
		return step, after, nil
	}
	index, err := strconv.ParseUint(inside, 10, 31)
	step.index = int(index)
	if err != nil {
		return step, "", fmt.Errorf("%q is no index", inside)
	}
	return step, after, nil
}

// matches says that the path leads to the end of the way.
func (p jsonPath) matches(way []pathPart) bool {
	if len(p) == 0 {
		return len(way) == 0
	}
	if len(way) == 0 {
		return false
	}
	if p[0].matches(&way[0]) && p[1:].matches(way[1:]) {
		return true
	}
	return p[0].deep && p.matches(way[1:])
}

func (s *pathStep) matches(part *pathPart) bool {
	switch {
	case s.any:
		return true
	case part.name == nil:
		return s.index == part.index
	}
	return s.index < 0 && s.name == string(part.name)
}

// wayText writes a way as a path.
func wayText(way []pathPart) string {
	text := []byte{'$'}
	for _, part := range way {
		if part.name == nil {
			text = append(strconv.AppendInt(append(text, '['), int64(part.index), 10), ']')
			continue
		}
		text = append(append(text, '.'), part.name...)
	}
	return string(text)
}
