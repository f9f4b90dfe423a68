package redact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ReadFile reads rules from a file; see Parse.
func ReadFile(path string) (*Rules, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rules, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rules, nil
}

// Parse reads rules in YAML:
//
//	defaults: true            # the default rules apply after these; true unless said otherwise
//	rules:
//	  - where: http.request.header
//	    match: authorization, cookie, x-api-key
//	    do: hash
//	  - where: http.*.body
//	    path: $.card.number, $..password
//	    do: mask(keep_last=4)
//	  - where: env
//	    match: ["*_SECRET", "*_TOKEN"]
//	    do: hash
//
// Each value is a list, or a text with commas. Globs that begin with a star stand in quotes, as YAML wants it. Unknown keys and
// values that cannot be are errors. The error is ErrBadRules with the line.
func Parse(text []byte) (*Rules, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil && !errors.Is(err, io.EOF) {
		hint := ""
		if strings.Contains(string(text), ": *") || strings.Contains(string(text), "- *") {
			hint = `: globs that begin with a star stand in quotes, as in match: "*_SECRET"`
		}
		return nil, fmt.Errorf("%w: %w%s", ErrBadRules, err, hint)
	}
	f := file{defaults: true}
	if len(document.Content) > 0 {
		if err := f.read(document.Content[0]); err != nil {
			return nil, err
		}
	}
	return New(f.rules, !f.defaults)
}

// YAML returns all rules, the default ones included, as a file that Parse reads.
func (r *Rules) YAML() ([]byte, error) {
	type rule struct {
		Where  []string `yaml:",flow"`
		Match  []string `yaml:",flow,omitempty"`
		Path   []string `yaml:",flow,omitempty"`
		Table  []string `yaml:",flow,omitempty"`
		Column []string `yaml:",flow,omitempty"`
		Key    []string `yaml:",flow,omitempty"`
		Detect []string `yaml:",flow,omitempty"`
		Do     string
	}
	var out struct {
		Defaults bool
		Rules    []rule
	}
	for _, one := range r.rules {
		out.Rules = append(out.Rules, rule{one.Where, one.Match, one.Path, one.Table, one.Column, one.Key, one.Detect, one.Do.String()})
	}
	return yaml.Marshal(out)
}

// A file of rules.
type file struct {
	rules    []Rule
	defaults bool
}

func at(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %w", ErrBadRules, node.Line, fmt.Errorf(format, args...))
}

// members calls f with each key of a mapping and its value. No key comes twice.
func members(node *yaml.Node, what string, f func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return at(node, "%s is no mapping", what)
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if seen[key.Value] {
			return at(key, "%q comes twice", key.Value)
		}
		seen[key.Value] = true
		if err := f(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) read(node *yaml.Node) error {
	return members(node, "a file of rules", func(key, value *yaml.Node) error {
		switch key.Value {
		case "defaults":
			if value.Decode(&f.defaults) != nil {
				return at(value, "defaults is %q, use true or false", value.Value)
			}
			return nil
		case "rules":
			return f.readRules(value)
		}
		return at(key, "unknown key %q: use defaults and rules", key.Value)
	})
}

func (f *file) readRules(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return at(node, "rules is no list")
	}
	for _, item := range node.Content {
		var rule Rule
		if err := readRule(item, &rule); err != nil {
			return err
		}
		if _, err := compile(&rule); err != nil {
			return at(item, "%w", err)
		}
		f.rules = append(f.rules, rule)
	}
	return nil
}

func readRule(node *yaml.Node, rule *Rule) error {
	return members(node, "a rule", func(key, value *yaml.Node) (err error) {
		lists := map[string]*[]string{
			"where": &rule.Where, "match": &rule.Match, "path": &rule.Path, "table": &rule.Table,
			"column": &rule.Column, "key": &rule.Key, "detect": &rule.Detect,
		}
		if list, ok := lists[key.Value]; ok {
			*list, err = readList(value)
			return err
		}
		if key.Value != "do" {
			return at(key, "unknown key %q: use where, match, path, table, column, key, detect and do", key.Value)
		}
		if value.Kind != yaml.ScalarNode {
			return at(value, "do is no text")
		}
		if rule.Do, err = parseAction(value.Value); err != nil {
			return at(value, "%w", err)
		}
		return nil
	})
}

// readList reads a list of texts, or one text with commas.
func readList(node *yaml.Node) (list []string, err error) {
	switch node.Kind {
	case yaml.ScalarNode:
		list = splitList(node.Value)
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, at(item, "a list of texts is expected")
			}
			list = append(list, item.Value)
		}
	default:
		return nil, at(node, "a text or a list of texts is expected")
	}
	for _, text := range list {
		if text == "" {
			return nil, at(node, "an empty text matches nothing")
		}
	}
	return list, nil
}

// splitList splits at commas outside of quotes and regular expressions.
func splitList(text string) (list []string) {
	var inside byte
	start := 0
	for i := range len(text) {
		switch b := text[i]; {
		case inside != 0:
			if b == inside {
				inside = 0
			}
		case b == '\'' || b == '"' || b == '/' && strings.TrimSpace(text[start:i]) == "":
			inside = b
		case b == ',':
			list = append(list, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(list, strings.TrimSpace(text[start:]))
}

// parseAction reads an action: hash, mask(keep_last=4).
func parseAction(text string) (Action, error) {
	name, argument, ok := strings.Cut(text, "(")
	action := Action{Name: ActionName(strings.TrimSpace(name))}
	if !ok {
		return action.check()
	}
	value, found := strings.CutPrefix(strings.TrimSpace(argument), "keep_last")
	value, closed := strings.CutSuffix(value, ")")
	value, equals := strings.CutPrefix(strings.TrimSpace(value), "=")
	keep, err := strconv.Atoi(strings.TrimSpace(value))
	if !found || !closed || !equals || err != nil {
		return action, fmt.Errorf("action %q: use mask(keep_last=4), or a name alone", text)
	}
	action.KeepLast = keep
	return action.check()
}
