package redact_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/redact"
)

func TestBadRulesAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"rules:\n  - where: env\n    do: hide", `line 3: unknown action "hide"`},
		{"rules:\n  - where: env\n    mach: a\n    do: hash", `line 3: unknown key "mach"`},
		{"rule: []", `line 1: unknown key "rule"`},
		{"rules: {}", "line 1: rules is no list"},
		{"rules:\n  - hash", "line 2: a rule is no mapping"},
		{"- a", "line 1: a file of rules is no mapping"},
		{"defaults: maybe", `line 1: defaults is "maybe"`},
		{"rules:\n  - match: a\n    do: hash", "line 2: where is missing"},
		{"rules:\n  - where: any\n    do: hash", "line 2: a rule for any place needs something to match"},
		{"rules:\n  - where: any\n    match: a", `line 2: unknown action ""`},
		{"rules:\n  - where: any\n    detect: card, passport\n    do: hash", `line 2: unknown detector "passport"`},
		{"rules:\n  - where: any\n    path: card.number\n    do: hash", "line 2: path \"card.number\" does not begin with"},
		{"rules:\n  - where: any\n    path: $..\n    do: hash", "a name is missing"},
		{"rules:\n  - where: any\n    path: $[x]\n    do: hash", `"x" is no index`},
		{"rules:\n  - where: any\n    path: \"$['x]\"\n    do: hash", "has no end"},
		{"rules:\n  - where: any\n    match: /(/\n    do: hash", "no regular expression"},
		{"rules:\n  - where: any\n    match: a,,b\n    do: hash", "line 3: an empty text matches nothing"},
		{"rules:\n  - where: any\n    match: {a: b}\n    do: hash", "line 3: a text or a list of texts is expected"},
		{"rules:\n  - where: any\n    match: [[a]]\n    do: hash", "line 3: a list of texts is expected"},
		{"rules:\n  - where: any\n    match: a\n    do: mask(keep_last=40)", "line 4: keep_last is 40"},
		{"rules:\n  - where: any\n    match: a\n    do: hash(keep_last=4)", "line 4: keep_last is for mask"},
		{"rules:\n  - where: any\n    match: a\n    do: mask(4)", "line 4: action \"mask(4)\""},
		{"rules:\n  - where: any\n    match: a\n    do: [hash]", "line 4: do is no text"},
		{"rules:\n  - where: http body\n    match: a\n    do: hash", `"http body" is no place`},
		{"rules:\n  - where: env\n    where: any\n    do: hash", `line 3: "where" comes twice`},
		{"rules:\n  - where: env\n    match: *_SECRET\n    do: hash", `stand in quotes, as in match: "*_SECRET"`},
		{"\tx", "yaml"},
	}
	for _, test := range tests {
		_, err := redact.Parse([]byte(test.text))
		if !errors.Is(err, redact.ErrBadRules) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
}

func TestRulesKnowWhatTheyAre(t *testing.T) {
	t.Parallel()
	empty, some := parse(t, ""), parse(t, "rules: [{where: env, match: a, do: hash}]")
	if empty.Hash() != redact.Default().Hash() || some.Hash() == empty.Hash() || len(some.Hash()) != 16 {
		t.Errorf("hashes are %s and %s", empty.Hash(), some.Hash())
	}
	if got := len(some.Rules()) - len(empty.Rules()); got != 1 {
		t.Errorf("%d rules more than the default ones", got)
	}
	made, err := redact.New([]redact.Rule{{Where: []string{"env"}, Match: []string{"a"}, Do: redact.Action{Name: redact.Hash}}}, false)
	if err != nil || made.Hash() != some.Hash() {
		t.Errorf("rules made in Go differ from those of a file: %v", err)
	}
	text, err := mustParse(allRules).YAML()
	if err != nil || parse(t, string(text)).Hash() != mustParse(allRules).Hash() {
		t.Errorf("rules written and read again differ: %v\n%s", err, text)
	}
	rule := redact.Rule{Where: []string{"http.*.body"}, Path: []string{"$.a", "$..b"}, Do: redact.Action{Name: redact.Mask, KeepLast: 4}}
	if got, want := rule.String(), "where: http.*.body  path: $.a, $..b  do: mask(keep_last=4)"; got != want {
		t.Errorf("rule is %q, want %q", got, want)
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "redact.yaml")
	if err := os.WriteFile(path, []byte("rules: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := redact.ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
	if _, err := redact.ReadFile(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(allRules)
	f.Add("rules: [{where: any, match: [a, /b/], path: \"$['a b'][0][*]..c\", do: mask(keep_last=4)}]")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := redact.Parse([]byte(text))
		if err == nil {
			rules.Redactor(testKey).Payload("http.request", []byte(plainRequest))
		} else if !errors.Is(err, redact.ErrBadRules) {
			t.Errorf("error is %v", err)
		}
	})
}
