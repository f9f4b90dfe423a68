package tracking

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestTypeFilterMatchesTheWholeType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "anything", true},
		{".*Created", "com.example.UserCreated", true},
		{".*Created", "com.example.UserCreatedX", false},
		{"Created", "UserCreated", false},
		{"a|ab", "ab", true},
		{"a$", "a", true},
		{"a$", "ab", false},
		{"^a", "a", true},
		{"(?i)a", "A", true},
		{"(?m)^a$", "b\na\nb", false},
		{`\Qcom.example.A$B\E`, "com.example.A$B", true},
		{`\Qcom.example.A$B\E`, "comXexample.A$B", false},
		{`\Qa.b\E.*`, "a.bc", true},
		{`x\Qa)|(b\Ey`, "xa)|(by", true},
		{`\Qa.b`, "a.b", true}, // an open quote goes on to the end
		{`\Qa.b`, "a.b)", false},
		{`\Qa\b\E`, `a\b`, true},
		{`\Q\E`, "", true},
		{`[\Q^-]\E]`, "-", true},
		{`[\Q^-]\E]`, "a", false},
		{`a\\Qb`, `a\Qb`, true}, // the backslash is escaped, so this is no quote
		{`[]a]`, "]", true},
		{`[^]a]`, "]", false},
		{`[^]a]`, "b", true},
		{`[\]a]`, "a", true},
		{`com\.example\..*`, "com.example.Order", true},
	} {
		f, err := newTypeFilter(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		if got := f.accepts(test.name); got != test.want {
			t.Errorf("%q accepts %q: %v", test.pattern, test.name, got)
		}
	}
}

// What Go cannot express as Java does is refused, rather than understood in another way.
func TestTypeFilterIsRefused(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{
		"open group":         "a(",
		"closed group":       "a)|(b",
		"open class":         "[a",
		"look-ahead":         "a(?=b)",
		"look-behind":        "(?<!a)b",
		"back-reference":     `(a)\1`,
		"possessive":         "a*+",
		"atomic group":       "(?>a)",
		"class intersection": "[a-z&&[^b]]",
		"intersection":       "[a-z&&b]",
		"class union":        "[a[bc]]",
		"end of quote":       `a\E`,
		"backslash":          `a\`,
		"too long":           strings.Repeat("a", maxTypeFilterLen+1),
	} {
		if _, err := newTypeFilter(pattern); !errors.Is(err, ErrBadTracker) {
			t.Errorf("%s: %q: %v", name, pattern, err)
		}
	}
}

func FuzzTypeFilter(f *testing.F) {
	for _, pattern := range []string{``, `.*`, `\Qa.b\E`, `[\Q]\E-z]`, `a\Q`, `[[:alpha:]]`, `a&&b`, `(?m)^a$`, `\\Q`, `[^]]`} {
		f.Add(pattern, "a.b")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		filter, err := newTypeFilter(pattern)
		if err != nil {
			if !errors.Is(err, ErrBadTracker) {
				t.Errorf("%q: %v", pattern, err)
			}
			return
		}
		got := filter.accepts(name)
		// A quote is the literal that it says, whatever is in it.
		if !strings.Contains(name, `\E`) && validText(name) {
			quoted, err := newTypeFilter(`\Q` + name + `\E`)
			if err != nil || !quoted.accepts(name) || quoted.accepts(name+"x") {
				t.Errorf("quoted %q: %v", name, err)
			}
		}
		// Without quotes and classes it is what Go says.
		if pattern == "" || strings.ContainsAny(pattern, `\[`) {
			return
		}
		if want := regexp.MustCompile(`\A(?:` + pattern + `)\z`).MatchString(name); got != want {
			t.Errorf("%q accepts %q: %v", pattern, name, got)
		}
	})
}

// validText reports whether a pattern made of the text can be accepted.
func validText(s string) bool {
	return s == strings.ToValidUTF8(s, "") && len(s) < maxTypeFilterLen/2 && !strings.HasSuffix(s, `\`)
}
