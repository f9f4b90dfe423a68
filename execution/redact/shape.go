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
	shapeRedis
	shapeRedisArgs
	shapeRedisReply
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
	}
	return shapePlain
}

// side is what a walker remembers of an object while it is in it.
type side struct {
	start      int         // of the object in the document
	byPosition []*compiled // of parameters or columns, for statements
	command    string      // of Redis
	args       [][]byte    // of Redis
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
		if string(key) == "rows" {
			enter(w.s.r.rules.plan("sql.result"), shapeSQLRows)
			w.side.byPosition = w.columnRules(child.p)
			return
		}
	case shapeRedis:
		w.enterRedis(key, enter)
		return
	case shapeSQLArg:
		if string(key) != "value" && string(key) != "base64" && string(key) != "text" {
			child.rule = nil // the type of a value is not its value
		}
	}
	if string(key) == "base64" {
		child.shape = shapeBase64
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
	case shapeRedisArgs, shapeRedisReply:
		return w.redisElement(c, i)
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

// enterRedis is childShape for requests and answers of Redis.
func (w *walker) enterRedis(key []byte, enter func(*plan, shape)) {
	plan := w.s.r.rules.plan
	switch string(key) {
	case "args":
		enter(plan("redis.value"), shapeRedisArgs)
		w.side.command = strings.ToUpper(string(unquote(orEmpty(w.sibling("command")))))
		w.side.args = argsOf(w.sibling("args"))
		if len(w.side.args) > 0 && strings.EqualFold(string(w.side.args[0]), w.side.command) {
			w.side.args[0] = nil
		}
	case "reply", "replies":
		enter(plan("redis.value"), shapeRedisReply)
	case "commands":
		enter(plan("redis.request"), shapeRedis)
	default:
		enter(plan("redis.request"), shapePlain)
	}
}

func orEmpty(quoted []byte) []byte {
	if quoted == nil {
		return []byte(`""`)
	}
	return quoted
}

// argsOf returns the arguments of a command that are texts.
func argsOf(array []byte) [][]byte {
	var all []json.RawMessage
	if json.Unmarshal(array, &all) != nil {
		return nil
	}
	args := make([][]byte, len(all))
	for i, arg := range all {
		if len(arg) > 0 && arg[0] == '"' {
			args[i] = unquote(arg)
		}
	}
	return args
}

// alwaysHidden hides what the handshake of Redis authenticates with.
var alwaysHidden = &compiled{name: "credentials of a connection, always", do: Action{Name: Hash}}

// redisElement gives an argument of a command, or an element of its answer, its rule: by the key that the command is about,
// and by the name of the field before it.
func (w *walker) redisElement(c context, i int) context {
	c.shape = shapePlain
	if len(w.way) > 1 && w.way[len(w.way)-2].name == nil { // in an element
		return c
	}
	if rule := w.s.replyRule(c.p); rule != nil && w.side.args == nil {
		c.rule, c.by = rule, "key"
	}
	if w.side.args == nil || i >= len(w.side.args) {
		return c
	}
	rule, by := c.p.redisArg(w.side.command, w.side.args, i)
	if rule != nil {
		c.rule, c.by = rule, by
	} else if c.by == "place" && w.side.args[i] != nil && isRedisKey(w.side.command, w.side.args, i) {
		c.rule = nil // the key itself is no value
	}
	return c
}

func (s *Session) replyRule(p *plan) *compiled {
	if s.field.rule != nil {
		return s.field.rule
	}
	if s.key == "" {
		return nil
	}
	return p.key(s.key)
}

// redisArg returns the rule for an argument of a command, nil when there is none.
func (p *plan) redisArg(command string, args [][]byte, i int) (rule *compiled, by string) {
	first := firstKey(args)
	switch command {
	case "AUTH":
		return alwaysHidden, "command"
	case "HELLO":
		if i >= 2 && bytes.EqualFold(args[i-2], []byte("auth")) || i >= 1 && bytes.EqualFold(args[i-1], []byte("auth")) {
			return alwaysHidden, "command"
		}
		return nil, ""
	case "HSET", "HMSET", "HSETNX":
		if i >= first+2 && (i-first)%2 == 0 {
			if verdict := p.name(args[i-1]); verdict.rule != nil {
				return verdict.rule, "name"
			}
		}
	}
	if isRedisKey(command, args, i) {
		return nil, ""
	}
	key := first
	if command == "MSET" || command == "MSETNX" {
		key = i - 1
	}
	if key < len(args) && args[key] != nil {
		return p.key(string(args[key])), "key"
	}
	return nil, ""
}

// firstKey returns the place of the first argument after the command, which some write as the first argument.
func firstKey(args [][]byte) int {
	if len(args) > 1 && args[0] == nil {
		return 1
	}
	return 0
}

func isRedisKey(command string, args [][]byte, i int) bool {
	first := firstKey(args)
	switch command {
	case "MSET", "MSETNX":
		return i <= first || (i-first)%2 == 0
	case "MGET", "DEL", "EXISTS", "UNLINK", "TOUCH":
		return true
	}
	return i <= first
}
