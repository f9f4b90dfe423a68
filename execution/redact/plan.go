package redact

import "strings"

// A plan is what the rules have to say about one place, in the order of the rules.
type plan struct {
	place    string
	all      *compiled   // the first rule about every value; nil when there is none
	named    []*compiled // with names
	paths    []*compiled
	columns  []*compiled // with columns, tables or names
	keys     []*compiled
	detect   [detectorCount]*compiled // the rule that a detector works for
	found    detectorSet              // detectors that work here
	names    cache[nameVerdict]
	sections cache[section]     // of an HTTP or gRPC message, by key
	queries  cache[[]*compiled] // texts of statements → rule of each parameter
}

// A nameVerdict is what the rules say about a name.
type nameVerdict struct {
	rule   *compiled // nil when no rule is about it
	form   form
	secret bool // it sounds like that of a secret: the detector of entropy looks at its value
}

// plan returns the plan for a place such as "http.request.header".
func (r *Rules) plan(place string) *plan {
	if known, ok := r.plans.getText(place); ok {
		return known
	}
	return r.plans.put([]byte(place), r.makePlan(place))
}

func (r *Rules) makePlan(place string) *plan {
	steps := strings.Split(place, ".")
	if steps[0] == "postgres" || steps[0] == "mysql" {
		steps[0] = "sql"
	}
	p := &plan{place: place}
	for i := range r.all {
		c := &r.all[i]
		if !c.covers(steps) {
			continue
		}
		if c.matchesAll() && p.all == nil {
			p.all = c
		}
		if len(c.match) > 0 {
			p.named = append(p.named, c)
		}
		if len(c.paths) > 0 {
			p.paths = append(p.paths, c)
		}
		if len(c.columns)+len(c.tables)+len(c.match) > 0 {
			p.columns = append(p.columns, c)
		}
		if len(c.keys) > 0 {
			p.keys = append(p.keys, c)
		}
		for d := range detectorCount {
			if c.detect&(1<<d) != 0 && p.detect[d] == nil {
				p.detect[d] = c
				p.found |= 1 << d
			}
		}
	}
	return p
}

// name returns what the rules say about a name.
func (p *plan) name(name []byte) nameVerdict {
	if known, ok := p.names.get(name); ok {
		return known
	}
	folded := foldName(string(name))
	verdict := nameVerdict{form: formOf(folded), secret: soundsSecret(folded)}
	for _, c := range p.named {
		if matchesAny(c.match, string(name), folded) {
			verdict.rule = c
			break
		}
	}
	return p.names.put(name, verdict)
}

// column returns the rule for a column, nil when there is none. Tables are those it may be of.
func (p *plan) column(name string, tables []string) *compiled {
	folded := foldName(name)
	for _, c := range p.columns {
		if len(c.tables) > 0 && !anyTable(c.tables, tables) {
			continue
		}
		byName := len(c.columns)+len(c.match) == 0
		if byName || matchesAny(c.columns, name, folded) || matchesAny(c.match, name, folded) {
			return c
		}
	}
	return nil
}

// anyTable says that one of the tables is meant. A value of which the table is not known may be of any.
func anyTable(patterns []pattern, tables []string) bool {
	for _, table := range tables {
		if matchesAny(patterns, table, foldName(table)) {
			return true
		}
	}
	return len(tables) == 0
}

// key returns the rule for the value of a key, nil when there is none.
func (p *plan) key(key string) *compiled {
	for _, c := range p.keys {
		if matchesAny(c.keys, key, key) {
			return c
		}
	}
	return nil
}

// path returns the rule for the value at the end of a way, nil when there is none.
func (p *plan) path(way []pathPart) *compiled {
	for _, c := range p.paths {
		for _, path := range c.paths {
			if path.matches(way) {
				return c
			}
		}
	}
	return nil
}

func matchesAny(patterns []pattern, name, folded string) bool {
	for i := range patterns {
		if patterns[i].matches(name, folded) {
			return true
		}
	}
	return false
}

// secretWords are parts of names whose values are looked at for their entropy.
var secretWords = []string{"secret", "token", "password", "passwd", "credential", "apikey", "accesskey", "privatekey", "signature", "auth", "session", "key"}

func soundsSecret(folded string) bool {
	for _, word := range secretWords {
		if strings.HasSuffix(folded, word) {
			return true
		}
	}
	return false
}
