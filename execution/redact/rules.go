package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrBadRules is returned for rules that cannot be. The error names the rule, and the line where there is one.
var ErrBadRules = errors.New("bad redaction rules")

// A Rule says what is hidden, where, and how. It applies where Where says, to values that any of its matchers find. A rule
// without matcher applies to all values of its place. The first rule that finds a value decides.
type Rule struct {
	// Where are the places, as "http.request.header", "http.*.body", "sql.param", "sql.result", "redis.value", "env", "log".
	// A place covers those below it: "http" is all of HTTP. "any" is every place. See docs/redaction.md for all of them.
	Where []string `json:"where"`
	// Match are names of fields, headers, parameters, columns or variables: globs, or regular expressions between slashes.
	// They match in any case, and with or without - and _.
	Match []string `json:"match,omitempty"`
	// Path are JSON paths within a payload or a body.
	Path []string `json:"path,omitempty"`
	// Table limits the rule to values of tables, for places of SQL. Patterns as in Match.
	Table []string `json:"table,omitempty"`
	// Column are names of columns, for places of SQL. Patterns as in Match.
	Column []string `json:"column,omitempty"`
	// Key are patterns of keys, for places of Redis; case matters.
	Key []string `json:"key,omitempty"`
	// Detect are names of detectors; see Detectors.
	Detect []string `json:"detect,omitempty"`
	// Do is what happens to what was found.
	Do Action `json:"do"`
}

// An Action is what happens to a value.
type Action struct {
	Name ActionName `json:"name"`
	// KeepLast is how many characters a mask leaves, at most 8. Of values that are not twice as long nothing is left.
	KeepLast int `json:"keepLast,omitempty"`
}

// ActionName names an action.
type ActionName string

// The actions.
const (
	Drop    ActionName = "drop"    // the value is left out
	Mask    ActionName = "mask"    // ****, and the last characters where asked for
	Hash    ActionName = "hash"    // keyed hash: equal values have equal stand-ins
	Token   ActionName = "token"   // keyed stand-in of the same form: digits stay digits, an e-mail address stays one
	Encrypt ActionName = "encrypt" // who has the key can read it; see Decrypt
	Keep    ActionName = "keep"    // stays as it is: an exception to rules that follow
)

var actions = []ActionName{Drop, Mask, Hash, Token, Encrypt, Keep}

const maxKeepLast = 8

// Rules are compiled rules. They do not change, and are safe for concurrent use.
type Rules struct {
	rules []Rule
	all   []compiled
	plans cache[*plan] // by place
	hash  string

	asksTables bool // a rule is about tables
}

// A compiled rule.
type compiled struct {
	name    string // for findings
	where   [][]string
	match   []pattern
	paths   []jsonPath
	tables  []pattern
	columns []pattern
	keys    []pattern
	detect  detectorSet
	do      Action
}

// New returns rules that apply in their order, and after them the default rules unless withoutDefaults. The error is
// ErrBadRules.
func New(rules []Rule, withoutDefaults bool) (*Rules, error) {
	if !withoutDefaults {
		rules = append(slices.Clone(rules), defaults...)
	}
	r := &Rules{rules: rules}
	for i := range rules {
		c, err := compile(&rules[i])
		if err != nil {
			return nil, fmt.Errorf("%w: rule %d: %w", ErrBadRules, i+1, err)
		}
		r.all = append(r.all, c)
		r.asksTables = r.asksTables || len(c.tables) > 0
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRules, err)
	}
	sum := sha256.Sum256(text)
	r.hash = hex.EncodeToString(sum[:8])
	return r, nil
}

// Default returns the rules that apply unless others are given.
func Default() *Rules { return standard() }

var standard = sync.OnceValue(func() *Rules {
	r, err := New(nil, false)
	if err != nil {
		panic(err) // a test compiles them
	}
	return r
})

// Rules returns the rules in the order in which they apply.
func (r *Rules) Rules() []Rule { return slices.Clone(r.rules) }

// Hash identifies the rules: 16 hexadecimal digits. Equal rules have the same.
func (r *Rules) Hash() string { return r.hash }

func compile(rule *Rule) (c compiled, err error) {
	if c.do, err = rule.Do.check(); err != nil {
		return c, err
	}
	if c.where, err = compilePlaces(rule.Where); err != nil {
		return c, err
	}
	for _, list := range []struct {
		texts []string
		to    *[]pattern
		fold  func(string) string
	}{
		{rule.Match, &c.match, foldName},
		{rule.Table, &c.tables, foldName},
		{rule.Column, &c.columns, foldName},
		{rule.Key, &c.keys, sameText},
	} {
		for _, text := range list.texts {
			p, err := compilePattern(text, list.fold)
			if err != nil {
				return c, err
			}
			*list.to = append(*list.to, p)
		}
	}
	for _, text := range rule.Path {
		p, err := compilePath(text)
		if err != nil {
			return c, err
		}
		c.paths = append(c.paths, p)
	}
	if c.detect, err = detectorsNamed(rule.Detect); err != nil {
		return c, err
	}
	c.name = rule.String()
	if c.matchesAll() && slices.Contains(rule.Where, "any") {
		return c, errors.New("a rule for any place needs something to match")
	}
	return c, nil
}

func (a Action) check() (Action, error) {
	switch {
	case !slices.Contains(actions, a.Name):
		return a, fmt.Errorf("unknown action %q: use one of %v", a.Name, actions)
	case a.KeepLast < 0 || a.KeepLast > maxKeepLast:
		return a, fmt.Errorf("keep_last is %d, use 0 to %d", a.KeepLast, maxKeepLast)
	case a.KeepLast > 0 && a.Name != Mask:
		return a, fmt.Errorf("keep_last is for mask, not for %s", a.Name)
	}
	return a, nil
}

// String returns the action as it is written in a file of rules.
func (a Action) String() string {
	if a.KeepLast > 0 {
		return fmt.Sprintf("%s(keep_last=%d)", a.Name, a.KeepLast)
	}
	return string(a.Name)
}

// String returns the rule on one line, as it is written in a file of rules.
func (r *Rule) String() string {
	text := "where: " + strings.Join(r.Where, ", ")
	for _, part := range []struct {
		name   string
		values []string
	}{{"match", r.Match}, {"path", r.Path}, {"table", r.Table}, {"column", r.Column}, {"key", r.Key}, {"detect", r.Detect}} {
		if len(part.values) > 0 {
			text += "  " + part.name + ": " + strings.Join(part.values, ", ")
		}
	}
	return text + "  do: " + r.Do.String()
}

// matchesAll says that the rule is about every value of its places.
func (c *compiled) matchesAll() bool {
	return len(c.match)+len(c.paths)+len(c.tables)+len(c.columns)+len(c.keys) == 0 && c.detect == 0
}

// places are the first words of places. Boundaries of the user's own have others.
func compilePlaces(texts []string) (places [][]string, err error) {
	for _, text := range texts {
		steps := strings.Split(text, ".")
		for _, step := range steps {
			if step == "" || strings.ContainsAny(step, " /$:") {
				return nil, fmt.Errorf("%q is no place", text)
			}
		}
		places = append(places, steps)
	}
	if len(places) == 0 {
		return nil, errors.New("where is missing")
	}
	return places, nil
}

// covers says that the rule applies in a place, given by its steps.
func (c *compiled) covers(place []string) bool {
	for _, where := range c.where {
		if where[0] == "any" && len(where) == 1 || coversPlace(where, place) {
			return true
		}
	}
	return false
}

func coversPlace(where, place []string) bool {
	if len(where) > len(place) {
		return false
	}
	for i, step := range where {
		if step != "*" && step != place[i] {
			return false
		}
	}
	return true
}
