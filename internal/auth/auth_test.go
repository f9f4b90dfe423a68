package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

const tokens = `[
  {"name": "shop", "token": "a long random text", "namespaces": ["shop"], "rights": ["read", "write"]},
  {"name": "ops", "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "namespaces": ["*"], "rights": ["admin"]}
]`

func TestTokensGrantWhatTheirFileSays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.json")
	if err := os.WriteFile(path, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		token string
		ns    message.Namespace
		right Right
		want  bool
	}{
		{"a long random text", "shop", Read, true},
		{"a long random text", "shop", Read | Write, true},
		{"a long random text", "shop", Admin, false},
		{"a long random text", "shop", Read | Admin, false},
		{"a long random text", "public", Read, false},
		{"foo", "anything", Admin, true}, // the SHA-256 above is that of foo
		{"foo", "anything", Read, false},
		{"a long random tex", "shop", Read, false},
		{"", "shop", Read, false},
	} {
		grant, found := known.Grant(test.token)
		if got := grant.Allows(test.ns, test.right); got != test.want || got && !found {
			t.Errorf("%q in %s, %s: %v, want %v", test.token, test.ns, test.right, got, test.want)
		}
	}
	shop, _ := known.Grant("a long random text")
	ops, _ := known.Grant("foo")
	if shop.AllowsEverywhere(Read) || !ops.AllowsEverywhere(Admin) || ops.AllowsEverywhere(Admin|Read) {
		t.Error("rights in all namespaces are wrong")
	}
}

func TestBadTokenFilesAreRefusedWithoutShowingTokens(t *testing.T) {
	t.Parallel()
	const secret = "a very secret token"
	for name, test := range map[string]struct{ file, want string }{
		"no array":       {`{}`, "cannot unmarshal"},
		"empty":          {`[]`, "no tokens"},
		"two values":     {`[{"name":"a","token":"` + secret + `","namespaces":["*"],"rights":["read"]}] []`, "more than one"},
		"unknown field":  {`[{"nmae":"a"}]`, "unknown field"},
		"neither":        {`[{"name":"a","namespaces":["*"],"rights":["read"]}]`, "either token or sha256"},
		"both":           {`[{"token":"` + secret + `","sha256":"00","namespaces":["*"],"rights":["read"]}]`, "either token or sha256"},
		"short":          {`[{"token":"short","namespaces":["*"],"rights":["read"]}]`, "at least 16"},
		"bad hash":       {`[{"sha256":"00","namespaces":["*"],"rights":["read"]}]`, "64 hexadecimal"},
		"no namespaces":  {`[{"token":"` + secret + `","rights":["read"]}]`, "no namespaces"},
		"star and other": {`[{"token":"` + secret + `","namespaces":["*","a"],"rights":["read"]}]`, "bad namespace"},
		"no name":        {`[{"token":"` + secret + `","namespaces":[""],"rights":["read"]}]`, "bad namespace"},
		"no rights":      {`[{"token":"` + secret + `","namespaces":["*"]}]`, "no rights"},
		"unknown right":  {`[{"token":"` + secret + `","namespaces":["*"],"rights":["root"]}]`, `unknown right "root"`},
		"twice": {
			`[{"token":"` + secret + `","namespaces":["*"],"rights":["read"]},{"token":"` + secret + `","namespaces":["*"],"rights":["write"]}]`,
			"same token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want one with %q and without the token", err, test.want)
			}
		})
	}
}

func TestNamespaceNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"shop": true, "Shop-2_b.c": true, strings.Repeat("a", 128): true,
		strings.Repeat("a", 129): false, "a b": false, "a\x00": false, "ä": false, "a/b": false, "*": false,
	} {
		if _, err := ParseNamespace(name); (err == nil) != want {
			t.Errorf("%.20q: %v, want valid %v", name, err, want)
		}
	}
	if ns, err := ParseNamespace(""); err != nil || ns != message.DefaultNamespace {
		t.Errorf("empty is %q, %v, want the default", ns, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(tokens))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := Parse(raw)
		if err == nil && len(parsed.all) == 0 {
			t.Error("no tokens, and no error")
		}
	})
}
