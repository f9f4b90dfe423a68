// Package auth says who may do what: bearer tokens from a file, each with the namespaces and the rights it gives.
//
// The file is a JSON array; docs/protocol/native.md describes it for operators:
//
//	[
//	  {"name": "shop", "token": "a long random text", "namespaces": ["shop"], "rights": ["read", "write"]},
//	  {"name": "ops", "sha256": "9f86d081…", "namespaces": ["*"], "rights": ["read", "write", "admin"]}
//	]
package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flux-go/flux/message"
)

// Right is a set of things that a token allows.
type Right uint8

// The rights. None of them includes another.
const (
	// Read allows to read logs, and to follow them as a consumer.
	Read Right = 1 << iota
	// Write allows to append messages.
	Write
	// Admin allows what affects others: truncation, retention, moving consumers, and looking after the server.
	Admin
)

var rightNames = []string{"read", "write", "admin"}

// String returns the names of the rights with a plus between them.
func (r Right) String() string {
	var names []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

func parseRight(name string) (Right, error) {
	i := slices.Index(rightNames, name)
	if i < 0 {
		return 0, fmt.Errorf("unknown right %q: use %s", name, strings.Join(rightNames, ", "))
	}
	return 1 << i, nil
}

// Grant is what a token allows. The zero value allows nothing.
type Grant struct {
	// Name says whose token it is, for logs.
	Name   string
	rights Right
	// namespaces are those in which the rights hold; nil stands for all.
	namespaces []message.Namespace
}

// Everything is the grant of callers of a server that asks for no tokens.
var Everything = Grant{Name: "anyone", rights: Read | Write | Admin}

// Allows reports whether the grant has all of the rights in the namespace.
func (g Grant) Allows(ns message.Namespace, needed Right) bool {
	return g.rights&needed == needed && (g.namespaces == nil || slices.Contains(g.namespaces, ns))
}

// AllowsEverywhere reports whether the grant has all of the rights in all namespaces, those to come included.
func (g Grant) AllowsEverywhere(needed Right) bool {
	return g.rights&needed == needed && g.namespaces == nil
}

// ErrBadNamespace is returned for names that cannot be a namespace's.
var ErrBadNamespace = errors.New("bad namespace")

// maxNamespaceLen is the longest name of a namespace, in bytes.
const maxNamespaceLen = 128

// ParseNamespace returns the namespace called s: 1 to 128 letters, digits, dots, underscores and hyphens of ASCII. Empty
// stands for message.DefaultNamespace. Anything else is ErrBadNamespace.
func ParseNamespace(s string) (message.Namespace, error) {
	if s == "" {
		return message.DefaultNamespace, nil
	}
	if len(s) > maxNamespaceLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrBadNamespace, len(s), maxNamespaceLen)
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return "", fmt.Errorf("%w: %q: use letters, digits, '.', '_' and '-'", ErrBadNamespace, s)
		}
	}
	return message.Namespace(s), nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == '-'
}
