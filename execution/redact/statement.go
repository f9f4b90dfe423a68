package redact

import (
	"strconv"
	"strings"
)

// A statement is what a text of SQL tells without a parser of SQL: its tables, and for each parameter the column that it is
// compared with, or stored in.
type statement struct {
	tables  []string
	columns []string // by position of the parameter, from 0; empty where it is not known
}

// paramRules returns the rule for each parameter of a statement, which is given as a JSON string.
func (p *plan) paramRules(quoted []byte) []*compiled {
	if len(p.columns) == 0 || len(quoted) == 0 {
		return nil
	}
	if known, ok := p.queries.get(quoted); ok {
		return known
	}
	parsed := parseStatement(string(unquote(quoted)))
	rules := make([]*compiled, len(parsed.columns))
	for i, column := range parsed.columns {
		if column != "" {
			rules[i] = p.column(column, parsed.tables)
		}
	}
	return p.queries.put(quoted, rules)
}

// A statementReader goes through the words of a statement.
type statementReader struct {
	statement
	words  []string
	column string   // the last column that was named, "" when something came between
	insert []string // columns of an INSERT
	values int      // place in the list of values of an INSERT; -1 outside of one
	depth  int      // of parentheses in that list
	seen   int      // parameters without a number
}

func parseStatement(text string) statement {
	r := statementReader{words: sqlWords(text), values: -1}
	for i := 0; i < len(r.words); i++ {
		i = r.word(i)
	}
	return r.statement
}

// word takes a word and returns the place of the last word it has taken.
func (r *statementReader) word(i int) int {
	text := r.words[i]
	switch upper := strings.ToUpper(text); {
	case text == "::":
		return i + 1 // the type of a cast is no column
	case isParameter(text):
		r.parameter(text)
	case upper == "FROM" || upper == "JOIN" || upper == "INTO" || upper == "UPDATE":
		return r.table(i, upper == "INTO")
	case upper == "VALUES":
		r.values, r.depth = 0, 0
	case r.values >= 0:
		r.value(text)
	case sqlOperators[upper]:
	case !isName(text) || sqlKeywords[upper]:
		r.column = ""
	case r.next(i) != "(":
		r.column = nameOf(text)
	}
	return i
}

// value takes a word of a list of values.
func (r *statementReader) value(word string) {
	switch word {
	case "(":
		if r.depth++; r.depth == 1 {
			r.values = 0
		}
	case ")":
		r.depth--
	case ",":
		if r.depth == 1 {
			r.values++
		}
	default:
		if r.depth == 0 {
			r.values = -1 // the list has ended
		}
	}
}

func (r *statementReader) parameter(word string) {
	n, err := strconv.Atoi(word[1:])
	if err != nil {
		r.seen++
		n = r.seen
	}
	column := r.column
	if r.values >= 0 && r.depth > 0 && r.values < len(r.insert) {
		column = r.insert[r.values]
	}
	if n < 1 || n > 1<<16 {
		return
	}
	for len(r.columns) < n {
		r.columns = append(r.columns, "")
	}
	if r.columns[n-1] == "" {
		r.columns[n-1] = column
	}
}

// table takes the table after a keyword and, for an INSERT, the list of its columns.
func (r *statementReader) table(i int, insert bool) int {
	r.column = ""
	if name := r.next(i); !isName(name) || sqlKeywords[strings.ToUpper(name)] {
		return i
	}
	i++
	r.tables = append(r.tables, nameOf(r.words[i]))
	if !insert || r.next(i) != "(" {
		return i
	}
	for i += 2; i < len(r.words) && r.words[i] != ")"; i++ {
		if isName(r.words[i]) {
			r.insert = append(r.insert, nameOf(r.words[i]))
		}
	}
	return i
}

func (r *statementReader) next(i int) string {
	if i+1 < len(r.words) {
		return r.words[i+1]
	}
	return ""
}

// sqlOperators may stand between a column and its parameter.
var sqlOperators = wordSet(`= < > <= >= <> != ( ) , ~ ~* !~ || LIKE ILIKE IN ANY ALL NOT IS BETWEEN LOWER UPPER`)

var sqlKeywords = wordSet(`SELECT WHERE AND OR SET ON AS ORDER GROUP BY HAVING LIMIT OFFSET RETURNING DO CONFLICT USING WITH CASE WHEN
	THEN ELSE END NULL TRUE FALSE DISTINCT UNION LEFT RIGHT INNER OUTER CROSS FULL DELETE INSERT DEFAULT FOR EXISTS ONLY LATERAL`)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

func isParameter(word string) bool {
	return word == "?" || len(word) > 1 && (word[0] == '$' || word[0] == ':' || word[0] == '@')
}

// isName says that a word names something; names in quotes keep their first quote.
func isName(word string) bool {
	return word != "" && (isAlnum(word[0]) && !isDigit(word[0]) || word[0] == '_' || word[0] == '"' || word[0] == '`')
}

// nameOf returns a name without quotes and without what is before its last dot.
func nameOf(word string) string {
	word = strings.NewReplacer(`"`, "", "`", "").Replace(word)
	return word[strings.LastIndexByte(word, '.')+1:]
}

// sqlWords splits a statement: names with their dots, parameters, operators, and texts as "'". Comments are left out.
func sqlWords(text string) (words []string) {
	for i := 0; i < len(text); {
		start := i
		switch b := text[i]; {
		case space.has(b):
			i++
			continue
		case b == '\'':
			i = endOfQuoted(text, i)
			words = append(words, "'")
			continue
		case strings.HasPrefix(text[i:], "--"):
			i = indexFrom(text, "\n", i)
			continue
		case strings.HasPrefix(text[i:], "/*"):
			i = indexFrom(text, "*/", i)
			continue
		case strings.HasPrefix(text[i:], "::"):
			i += 2
		case word.has(b) || b == '"' || b == '`' || b == '$' || b == ':' && i+1 < len(text) && word.has(text[i+1]) || b == '@':
			i = endOfName(text, i)
		case strings.IndexByte("=<>!~|*", b) >= 0:
			for i < len(text) && strings.IndexByte("=<>!~|*", text[i]) >= 0 {
				i++
			}
		default:
			i++
		}
		words = append(words, text[start:i])
	}
	return words
}

func endOfName(text string, i int) int {
	for first := true; i < len(text); first = false {
		switch b := text[i]; {
		case b == '"' || b == '`':
			i = endOfQuoted(text, i)
		case word.has(b) || b == '.' || b == '$' || first:
			i++
		default:
			return i
		}
	}
	return i
}

func endOfQuoted(text string, start int) int {
	if end := strings.IndexByte(text[start+1:], text[start]); end >= 0 {
		return start + 1 + end + 1
	}
	return len(text)
}

func indexFrom(text, what string, start int) int {
	if i := strings.Index(text[start:], what); i >= 0 {
		return start + i + len(what)
	}
	return len(text)
}
