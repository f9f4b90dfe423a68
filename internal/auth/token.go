package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/flux-go/flux/message"
)

// ErrBadTokens is returned for a file of tokens that breaks a rule.
var ErrBadTokens = errors.New("bad tokens file")

// minTokenLen keeps out tokens that can be guessed.
const minTokenLen = 16

// Tokens are the tokens that a server accepts. They do not change. Safe for concurrent use.
type Tokens struct{ all []token }

// token is known by its hash only, so that a heap dump does not give it away.
type token struct {
	hash  [sha256.Size]byte
	grant Grant
}

// entry is a token as the file has it.
type entry struct {
	Name       string   `json:"name"`
	Token      string   `json:"token"`
	SHA256     string   `json:"sha256"`
	Namespaces []string `json:"namespaces"`
	Rights     []string `json:"rights"`
}

// Load reads a file of tokens. What breaks a rule is ErrBadTokens.
func Load(path string) (*Tokens, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	tokens, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadTokens, path, err)
	}
	return tokens, nil
}

// Parse reads tokens as the package comment shows them. Errors never contain a token.
func Parse(raw []byte) (*Tokens, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var entries []entry
	if err := decoder.Decode(&entries); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	if len(entries) == 0 {
		return nil, errors.New("no tokens")
	}
	tokens := &Tokens{}
	for i, e := range entries {
		t, err := e.parse()
		if err != nil {
			return nil, fmt.Errorf("token %d (%s): %w", i+1, e.Name, err)
		}
		if tokens.has(t.hash) {
			return nil, fmt.Errorf("token %d (%s): the same token as an earlier one", i+1, e.Name)
		}
		tokens.all = append(tokens.all, t)
	}
	return tokens, nil
}

func (e entry) parse() (token, error) {
	hash, err := e.parseHash()
	if err != nil {
		return token{}, err
	}
	t := token{hash, Grant{Name: e.Name}}
	if t.grant.namespaces, err = parseNamespaces(e.Namespaces); err != nil {
		return token{}, err
	}
	if len(e.Rights) == 0 {
		return token{}, errors.New("no rights")
	}
	for _, name := range e.Rights {
		right, err := parseRight(name)
		if err != nil {
			return token{}, err
		}
		t.grant.rights |= right
	}
	return t, nil
}

func (e entry) parseHash() (hash [sha256.Size]byte, err error) {
	switch {
	case (e.Token == "") == (e.SHA256 == ""):
		return hash, errors.New("give either token or sha256")
	case e.SHA256 != "":
		raw, err := hex.DecodeString(e.SHA256)
		if err != nil || len(raw) != len(hash) {
			return hash, fmt.Errorf("sha256 is not %d hexadecimal digits", 2*len(hash))
		}
		return [sha256.Size]byte(raw), nil
	case len(e.Token) < minTokenLen:
		return hash, fmt.Errorf("token of %d bytes, at least %d", len(e.Token), minTokenLen)
	}
	return sha256.Sum256([]byte(e.Token)), nil
}

// parseNamespaces returns nil for "*", which must stand alone.
func parseNamespaces(names []string) ([]message.Namespace, error) {
	if len(names) == 1 && names[0] == "*" {
		return nil, nil
	}
	if len(names) == 0 {
		return nil, errors.New(`no namespaces; "*" stands for all`)
	}
	all := make([]message.Namespace, len(names))
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("%w: it is empty", ErrBadNamespace)
		}
		ns, err := ParseNamespace(name)
		if err != nil {
			return nil, err
		}
		all[i] = ns
	}
	return all, nil
}

// has is for loading; it may leave early.
func (t *Tokens) has(hash [sha256.Size]byte) bool {
	for _, known := range t.all {
		if known.hash == hash {
			return true
		}
	}
	return false
}

// Grant returns what the token allows, and whether it is known. The time it takes depends on the length of the token and on
// the number of tokens, and not on which of them it is.
func (t *Tokens) Grant(bearer string) (Grant, bool) {
	hash := sha256.Sum256([]byte(bearer))
	found := -1
	for i := range t.all {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], t.all[i].hash[:]), i, found)
	}
	if found < 0 {
		return Grant{}, false
	}
	return t.all[found].grant, true
}
