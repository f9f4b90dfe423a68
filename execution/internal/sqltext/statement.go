package sqltext

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flux-go/flux/execution/record"
)

// A Statement is what is known of the text of a statement, or of several with semicolons between them.
type Statement struct {
	Text   string // without comments, white space collapsed
	Shape  string // Text without values; record.ShapeBegin, ShapeCommit, ShapeRollback for statements that begin or end a transaction
	Effect record.Effect
	Verb   string // the first keyword, in capital letters; "" when there is no statement at all
}

// Parse reads a statement.
func Parse(text string) Statement {
	tokens := scan(text)
	for len(tokens) > 0 && tokens[len(tokens)-1].text == ";" {
		tokens = tokens[:len(tokens)-1]
	}
	s := Statement{Text: join(tokens), Effect: effectOf(tokens), Verb: verbOf(tokens)}
	if strings.Contains(text, `\'`) {
		s.Text = text
	}
	if s.Shape = transactional(tokens); s.Shape == "" {
		s.Shape = shape(tokens)
	}
	return s
}

// Cache remembers statements: programs have few, and run them often. The zero Cache is empty. It is safe for concurrent use.
type Cache struct {
	statements sync.Map // of string to *Statement
	size       atomic.Int64
}

// Limits of a cache. Texts beyond them, which a program probably makes up as it goes, are read each time.
const (
	maxCached      = 2000
	maxCachedBytes = 8 << 10
)

// Parse is [Parse]. The statement is shared: it must not be changed.
func (c *Cache) Parse(text string) *Statement {
	if s, ok := c.statements.Load(text); ok {
		return s.(*Statement)
	}
	text = strings.Clone(text)
	s := Parse(text)
	if len(text) <= maxCachedBytes && c.size.Load() < maxCached {
		c.size.Add(1)
		c.statements.Store(text, &s)
	}
	return &s
}

func join(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		if t.spaced {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

func verbOf(tokens []token) string {
	for _, t := range tokens {
		if t.kind == word {
			return strings.ToUpper(t.text)
		}
	}
	return ""
}

// transactional returns the shape of a statement that begins or ends a transaction, "" for others.
func transactional(tokens []token) string {
	if len(tokens) == 0 || containsAny(tokens, ";") {
		return ""
	}
	switch verbOf(tokens[:1]) {
	case "BEGIN":
		return record.ShapeBegin
	case "START":
		if containsAny(tokens, "TRANSACTION") {
			return record.ShapeBegin
		}
	case "COMMIT", "END":
		if !containsAny(tokens, "PREPARED") {
			return record.ShapeCommit
		}
	case "ROLLBACK", "ABORT":
		if !containsAny(tokens, "TO", "PREPARED") {
			return record.ShapeRollback
		}
	}
	return ""
}

func containsAny(tokens []token, texts ...string) bool {
	for _, t := range tokens {
		for _, text := range texts {
			if t.is(text) {
				return true
			}
		}
	}
	return false
}

// shape writes a statement without its values. Lists of values after IN and VALUES become one: how many there are does not make
// another kind of statement.
func shape(tokens []token) string {
	var b strings.Builder
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if t.spaced {
			b.WriteByte(' ')
		}
		if t.kind == literal {
			b.WriteByte('?')
			continue
		}
		b.WriteString(t.text)
		if t.is("IN") || t.is("VALUES") {
			if end := valueLists(tokens, i+1); end > i+1 {
				b.WriteString(" (?+)")
				i = end - 1
			}
		}
	}
	return b.String()
}

// valueLists returns the end of the lists of nothing but values that begin at a token: (1, 2), (3, 4). Without any it returns
// where it began.
func valueLists(tokens []token, at int) int {
	end := valueList(tokens, at)
	for end > at && end < len(tokens) && tokens[end].is(",") {
		next := valueList(tokens, end+1)
		if next == end+1 {
			break
		}
		end = next
	}
	return end
}

func valueList(tokens []token, at int) int {
	if at >= len(tokens) || !tokens[at].is("(") {
		return at
	}
	for i := at + 1; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t.is(")") && i > at+1:
			return i + 1
		case t.kind != literal && !t.is(",") && !t.is("-"):
			return at
		}
	}
	return at
}
