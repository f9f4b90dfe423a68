package redact

import (
	"fmt"

	"github.com/flux-go/flux/execution/record"
)

// Inspect redacts a copy of a record and returns what was hidden, and what the detectors and the names of the default rules
// still find in it: what the rules should perhaps hide, too. Values that a rule keeps are not among them. Stand-ins of the
// latter show at most four characters.
func (r *Rules) Inspect(x *record.Execution) (hidden, open []Finding, err error) {
	x, err = record.Decode(record.Append(nil, x))
	if err != nil {
		return nil, nil, err
	}
	return r.inspect(func(s *Session) { s.Execution(x) })
}

// InspectPayload does the same with a JSON document from a place.
func (r *Rules) InspectPayload(where string, data []byte) (hidden, open []Finding, err error) {
	return r.inspect(func(s *Session) { data = s.Payload(where, data) })
}

func (r *Rules) inspect(redact func(*Session)) (hidden, open []Finding, err error) {
	strict, err := r.strict()
	if err != nil {
		return nil, nil, err
	}
	look := func(rules *Rules) (findings []Finding) {
		s := rules.Redactor([]byte("inspection")).Session()
		s.observe = func(f Finding) { findings = append(findings, f) }
		redact(s)
		return findings
	}
	return look(r), look(strict), nil
}

// strict returns rules that find all that the detectors and the default names find but what these rules keep.
func (r *Rules) strict() (*Rules, error) {
	var rules []Rule
	for _, rule := range r.rules {
		if rule.Do.Name == Keep {
			rules = append(rules, rule)
		}
	}
	show := Action{Name: Mask, KeepLast: 4}
	rules = append(rules, Rule{Where: anyPlace, Detect: Detectors(), Do: show})
	for _, rule := range defaults {
		rule.Do = show
		rules = append(rules, rule)
	}
	strict, err := New(rules, true)
	if err != nil {
		return nil, fmt.Errorf("rules for inspection: %w", err)
	}
	return strict, nil
}
