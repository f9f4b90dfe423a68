package sqltext

import (
	"strings"
	"unicode/utf8"
)

type kind int

const (
	word    kind = iota // a keyword or a name, also a quoted one
	literal             // a string, a number or a placeholder
	symbol              // one character of anything else
)

// A token is a piece of a statement.
type token struct {
	kind   kind
	text   string
	spaced bool // white space or a comment came before it
}

// is says that the token is that keyword or symbol.
func (t token) is(text string) bool { return t.kind != literal && strings.EqualFold(t.text, text) }

// scan splits a statement into tokens. Whatever it cannot read becomes symbols, so that nothing but comments and white space is
// lost.
func scan(text string) []token {
	tokens := make([]token, 0, len(text)/4+4)
	for at := 0; ; {
		next := skipSpace(text, at)
		if next == len(text) {
			return tokens
		}
		k, n := next1(text[next:], tokens)
		tokens = append(tokens, token{k, text[next : next+n], next > at && len(tokens) > 0})
		at = next + n
	}
}

// next1 returns the kind and the length of the token that a text begins with.
func next1(text string, before []token) (kind, int) {
	switch c := text[0]; {
	case c == '\'':
		return literal, quoted(text, '\'', false)
	case (c == 'e' || c == 'E') && len(text) > 1 && text[1] == '\'':
		return literal, 1 + quoted(text[1:], '\'', true)
	case strings.IndexByte("bBxXnN", c) >= 0 && len(text) > 1 && text[1] == '\'':
		return literal, 1 + quoted(text[1:], '\'', false)
	case c == '"' || c == '`':
		return word, quoted(text, c, false)
	case c == '$':
		return dollar(text)
	case isDigit(c), c == '.' && len(text) > 1 && isDigit(text[1]) && !follows(before, word):
		return literal, number(text)
	case c == '?':
		return literal, 1
	case (c == ':' || c == '@') && len(text) > 1 && isNameStart(text[1]) && !endsWith(before, ":", "@"):
		return literal, 1 + name(text[1:])
	case isNameStart(c):
		return word, name(text)
	}
	_, n := utf8.DecodeRuneInString(text)
	return symbol, n
}

func follows(before []token, k kind) bool {
	return len(before) > 0 && before[len(before)-1].kind == k
}

// endsWith says that the last token is one of these symbols, so that what comes now is not a placeholder: x::text, @@version.
func endsWith(before []token, symbols ...string) bool {
	for _, s := range symbols {
		if len(before) > 0 && before[len(before)-1].text == s {
			return true
		}
	}
	return false
}

// skipSpace returns where the next token begins: behind white space and comments. Comments that MySQL executes are no comments.
func skipSpace(text string, at int) int {
	for at < len(text) {
		switch rest := text[at:]; {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			at++
		case strings.HasPrefix(rest, "--"):
			at += lineEnd(rest)
		case strings.HasPrefix(rest, "/*") && !strings.HasPrefix(rest, "/*!"):
			at += commentEnd(rest)
		default:
			return at
		}
	}
	return at
}

func lineEnd(text string) int {
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		return end + 1
	}
	return len(text)
}

// commentEnd returns the length of a comment, which may have others in it.
func commentEnd(text string) int {
	depth := 0
	for at := 0; at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], "/*"):
			depth++
			at++
		case strings.HasPrefix(text[at:], "*/"):
			depth--
			at++
			if depth == 0 {
				return at + 1
			}
		}
	}
	return len(text)
}

// quoted returns the length of what is quoted; a quote within is doubled, or has a backslash before it where those escape.
func quoted(text string, quote byte, escapes bool) int {
	for at := 1; at < len(text); at++ {
		switch {
		case escapes && text[at] == '\\':
			at++
		case text[at] != quote:
		case at+1 < len(text) && text[at+1] == quote:
			at++
		default:
			return at + 1
		}
	}
	return len(text)
}

// dollar reads what begins with a dollar: a placeholder as $1, or a string as $tag$ … $tag$.
func dollar(text string) (kind, int) {
	n := 1
	if n < len(text) && isDigit(text[n]) {
		for n < len(text) && isDigit(text[n]) {
			n++
		}
		return literal, n
	}
	for n < len(text) && isNamePart(text[n]) && text[n] != '$' {
		n++
	}
	if n == len(text) || text[n] != '$' {
		return symbol, 1
	}
	tag := text[:n+1]
	end := strings.Index(text[len(tag):], tag)
	if end < 0 {
		return literal, len(text)
	}
	return literal, end + 2*len(tag)
}

func number(text string) int {
	n := 1
	for n < len(text) && (isNamePart(text[n]) || text[n] == '.' || isSign(text, n)) {
		n++
	}
	return n
}

// isSign says that there is the sign of an exponent.
func isSign(text string, at int) bool {
	return (text[at] == '-' || text[at] == '+') && (text[at-1] == 'e' || text[at-1] == 'E') && !strings.HasPrefix(text, "0x")
}

func name(text string) int {
	n := 1
	for n < len(text) && isNamePart(text[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func isNamePart(c byte) bool { return isNameStart(c) || isDigit(c) || c == '$' }
