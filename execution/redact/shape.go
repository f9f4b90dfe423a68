package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// A shape is what the parts of a payload mean. Each boundary has its own; those that are not known here are plain documents.
type shape uint8

const (
	shapePlain shape = iota
	shapeHTTP
	shapeHeader
	shapeURL
	shapeBase64
	shapeGRPC
	shapeSQLRequest
	shapeSQLArgs
	shapeSQLArg
	shapeSQLResponse
	shapeSQLRows
	shapeTime
	shapeRedis
	shapeRedisCommands
	shapeRedisArgs
	shapeRedisReply
	shapeRedisReplies
	shapeRedisPairs
	shapeNumber   // a number in a string
	shapeVerbatim // of Redis: a text after its format
	shapeCommand
	shapeCommandArgs
)

// shapeOf returns the shape of what is at a place of two words.
func shapeOf(where string) shape {
	boundary, part, _ := strings.Cut(where, ".")
	switch boundary {
	case "http":
		if part == "request" || part == "response" {
			return shapeHTTP
		}
	case "grpc":
		if part == "request" || part == "response" {
			return shapeGRPC
		}
	case "sql", "postgres", "mysql":
		switch part {
		case "request":
			return shapeSQLRequest
		case "response":
			return shapeSQLResponse
		}
	case "redis":
		if part == "request" || part == "response" {
			return shapeRedis
		}
	case "command":
		if part == "request" {
			return shapeCommand
		}
	}
	return shapePlain
}

// side is what a walker remembers of an object while it is in it.
type side struct {
	start      int          // of the object in the document
	byPosition []*compiled  // of parameters or columns, for statements
	command    redisCommand // whose words come
}

// child returns the context of a member of an object.
func (w *walker) child(c context, key []byte) context {
	child := c
	child.shape = shapePlain
	if w.spread {
		if string(key) == "base64" {
			child.shape = shapeBase64
		}
		return child
	}
	w.childShape(c, &child, key)
	if child.rule != nil && child.by != "place" {
		return child
	}
	if verdict := child.p.name(key); verdict.rule != nil {
		child.rule, child.by, child.name = verdict.rule, "name", verdict
	} else {
		child.name = verdict
	}
	return child
}

// childShape sets place and shape of a member.
func (w *walker) childShape(c context, child *context, key []byte) {
	enter := func(p *plan, shape shape) {
		child.p, child.shape = p, shape
		if child.p.all != nil {
			child.rule, child.by = child.p.all, "place"
		}
	}
	switch c.shape {
	case shapeHTTP, shapeGRPC:
		if section := w.s.r.rules.section(c.p, key); section.plan != nil {
			enter(section.plan, section.shape)
			if section.shape == shapePlain {
				child.base = len(w.way)
			}
			return
		}
	case shapeSQLRequest:
		w.enterStatement(key, enter)
		return
	case shapeSQLResponse:
		switch string(key) {
		case "rows":
			enter(w.s.r.rules.plan("sql.result"), shapeSQLRows)
			w.side.byPosition = w.columnRules(child.p)
			return
		case "next":
			child.shape = shapeSQLResponse
			return
		}
	case shapeRedis:
		w.enterRedis(child, key, enter)
		return
	case shapeRedisReply, shapeRedisPairs:
		redisReplyMember(child, key)
	case shapeSQLArg:
		w.valueMember(child, key)
	case shapeCommand:
		if string(key) == "args" {
			child.shape = shapeCommandArgs
		}
	}
	switch string(key) {
	case "base64":
		child.shape = shapeBase64
	case "bytes", "sha256", "truncated":
		if child.rule != nil && w.sibling("truncated") != nil {
			child.rule = nil // they tell of a body, which is beside them
		}
	}
}

// valueMember is childShape for a value of SQL that is an object: with its type, or of a type that JSON has not.
func (w *walker) valueMember(child *context, key []byte) {
	child.shape = shapeSQLArg
	switch string(key) {
	case "value":
		if name := w.sibling("name"); child.rule == nil && name != nil {
			if verdict := child.p.name(w.s.unquote(name)); verdict.rule != nil {
				child.rule, child.by = verdict.rule, "name"
			}
		}
	case "string", "base64", "text", "unix":
	case "bytes":
		if isDigit(w.next()) {
			child.rule = nil // the length of a body
		}
	case "time":
		child.shape = shapeTime
	default:
		child.rule = nil // the type of a value is not its value
	}
}

// A section is a part of an HTTP or gRPC message that has a place and a shape of its own. The plan is nil for other members.
type section struct {
	plan  *plan
	shape shape
}

func (r *Rules) section(p *plan, key []byte) section {
	if known, ok := p.sections.get(key); ok {
		return known
	}
	var found section
	switch string(key) {
	case "header", "trailer", "headers", "trailers":
		found = section{r.plan(p.place + ".header"), shapeHeader}
	case "metadata":
		found = section{r.plan(p.place + ".metadata"), shapeHeader}
	case "body":
		found = section{r.plan(p.place + ".body"), shapePlain}
	case "message", "messages":
		found = section{r.plan(p.place + ".message"), shapePlain}
	case "url", "path", "query":
		found = section{r.plan(p.place + ".url"), shapeURL}
	}
	return p.sections.put(key, found)
}

// element returns the context of an element of an array.
func (w *walker) element(c context, i int) context {
	switch c.shape {
	case shapeSQLArgs:
		return c.byPosition(w.side.byPosition, i)
	case shapeSQLRows:
		if len(w.way) > 1 && w.way[len(w.way)-2].name != nil { // an element of rows is a row
			return c
		}
		return c.byPosition(w.side.byPosition, i)
	case shapeRedisCommands:
		return w.redisCommand(c)
	case shapeRedisArgs:
		return w.redisArgument(c, i)
	case shapeRedisReplies:
		return w.redisReply(c, i)
	case shapeRedisReply, shapeRedisPairs:
		return w.redisElement(c, i)
	case shapeCommandArgs:
		return w.commandArgument(c, i)
	}
	return c
}

// commandArgument is the context of an argument of a command. One after a flag is its value, unless it is a flag itself.
func (w *walker) commandArgument(c context, i int) context {
	c.shape = shapePlain
	flag := bytes.TrimLeft(w.last, "-")
	if i < 2 || c.rule != nil || len(flag) == len(w.last) || bytes.HasPrefix(w.in[w.pos:], []byte(`"-`)) {
		return c
	}
	if verdict := c.p.name(flag); verdict.rule != nil {
		c.rule, c.by, c.name = verdict.rule, "name", verdict
	}
	return c
}

// byPosition gives a parameter or the value of a column its rule.
func (c context) byPosition(rules []*compiled, i int) context {
	c.shape = shapeSQLArg
	if i < len(rules) && rules[i] != nil {
		c.rule, c.by = rules[i], "column"
	}
	return c
}

// enterStatement is childShape for a request of SQL.
func (w *walker) enterStatement(key []byte, enter func(*plan, shape)) {
	plan := w.s.r.rules.plan
	switch string(key) {
	case "sql":
		enter(plan("sql.text"), shapePlain)
	case "args":
		enter(plan("sql.param"), shapeSQLArgs)
		w.side.byPosition = plan("sql.param").paramRules(w.sibling("sql"))
	default:
		enter(plan("sql.request"), shapePlain)
	}
}

// columnRules returns the rule for each column of the answer that the walker is in.
func (w *walker) columnRules(p *plan) []*compiled {
	columns := w.sibling("columns")
	if columns == nil {
		return nil
	}
	id := append([]byte(strings.Join(w.s.tables, ",")+"\x00"), columns...)
	if known, ok := p.queries.get(id); ok {
		return known
	}
	var names []struct{ Name, Table string }
	if json.Unmarshal(columns, &names) != nil {
		return nil
	}
	rules := make([]*compiled, len(names))
	for i, column := range names {
		tables := w.s.tables
		if column.Table != "" {
			tables = []string{column.Table}
		}
		rules[i] = p.column(column.Name, tables)
	}
	return p.queries.put(id, rules)
}

// sibling returns a member of the object that the walker is in, as it is in the document, nil when there is none.
func (w *walker) sibling(name string) []byte {
	other := walker{s: w.s, in: w.in, pos: w.side.start}
	if other.next() != '{' {
		return nil
	}
	other.pos++
	for first := true; other.more(first, '}'); first = false {
		key := other.key()
		start := other.pos
		other.skip()
		if other.broken {
			return nil
		}
		if string(key) == name {
			return other.in[start:other.pos]
		}
	}
	return nil
}
