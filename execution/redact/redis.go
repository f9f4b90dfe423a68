package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// A redisCommand is a command with its arguments, as far as they are texts.
type redisCommand struct {
	name string // in capitals
	args [][]byte
	word bool // the name is the first element of the array that the arguments are in
}

// commandOf reads a command from an array of words, or from its arguments when its name is elsewhere.
func commandOf(name string, array []byte) (c redisCommand) {
	c.name, c.args = strings.ToUpper(name), textsOf(array)
	if len(c.args) > 0 && (name == "" || strings.EqualFold(string(c.args[0]), name)) {
		c.name, c.word = strings.ToUpper(string(c.args[0])), true
		c.args = c.args[1:]
	}
	return c
}

// textsOf returns the elements of an array, nil for those that are no texts.
func textsOf(array []byte) [][]byte {
	var all []json.RawMessage
	if json.Unmarshal(array, &all) != nil {
		return nil
	}
	texts := make([][]byte, len(all))
	for i, one := range all {
		if len(one) > 0 && one[0] == '"' {
			texts[i] = unquote(one)
		}
	}
	return texts
}

// isKey says that an argument is a key, and no value.
func (c *redisCommand) isKey(i int) bool {
	switch c.name {
	case "MSET", "MSETNX":
		return i%2 == 0
	case "MGET", "DEL", "EXISTS", "UNLINK", "TOUCH":
		return true
	}
	return i == 0
}

// alwaysHidden hides what connections to Redis authenticate with.
var alwaysHidden = &compiled{name: "credentials of a connection, always", do: Action{Name: Hash}}

// arg returns the rule for an argument of a command, nil when there is none.
func (p *plan) arg(c *redisCommand, i int) (rule *compiled, by string) {
	switch c.name {
	case "AUTH":
		return alwaysHidden, "command"
	case "HELLO":
		before := c.args[max(0, i-2):i]
		if slices.ContainsFunc(before, func(word []byte) bool { return bytes.EqualFold(word, []byte("auth")) }) {
			return alwaysHidden, "command"
		}
		return nil, ""
	case "HSET", "HMSET", "HSETNX":
		if i >= 2 && i%2 == 0 {
			if verdict := p.name(c.args[i-1]); verdict.rule != nil {
				return verdict.rule, "name"
			}
		}
	}
	if c.isKey(i) || len(c.args) == 0 {
		return nil, ""
	}
	key := 0
	if c.name == "MSET" || c.name == "MSETNX" {
		key = i - 1
	}
	return p.key(string(c.args[key])), "key"
}

// reply returns the rule for what a command answers, nil when there is none.
func (p *plan) reply(c *redisCommand) (rule *compiled, by string) {
	for i, arg := range c.args {
		if rule := p.key(string(arg)); rule != nil && c.isKey(i) {
			return rule, "key"
		}
	}
	if c.name == "HGET" && len(c.args) > 1 {
		return p.name(c.args[1]).rule, "name"
	}
	return nil, ""
}

// enterRedis is childShape for requests and answers of Redis: {"command":[words]} or {"command":name,"args":[…]}, and
// {"commands":[…]} of them; {"reply":…} and {"replies":[…]}.
func (w *walker) enterRedis(child *context, key []byte, enter func(*plan, shape)) {
	plan := w.s.r.rules.plan
	switch string(key) {
	case "command":
		if w.next() == '[' {
			enter(plan("redis.value"), shapeRedisArgs)
			w.side.command = commandOf("", w.ahead())
		} else {
			enter(plan("redis.request"), shapePlain)
		}
	case "args":
		enter(plan("redis.value"), shapeRedisArgs)
		name := ""
		if quoted := w.sibling("command"); quoted != nil {
			name = string(unquote(quoted))
		}
		w.side.command = commandOf(name, w.ahead())
	case "commands":
		enter(plan("redis.value"), shapeRedisCommands)
	case "reply":
		enter(plan("redis.value"), shapeRedisReply)
		*child = w.redisReply(*child, 0)
	case "replies":
		enter(plan("redis.value"), shapeRedisReplies)
	default:
		enter(plan("redis.request"), shapePlain)
	}
}

// ahead returns the value that comes next, and stays before it.
func (w *walker) ahead() []byte {
	other := walker{in: w.in, pos: w.pos}
	other.skip()
	if other.broken {
		return nil
	}
	return w.in[w.pos:other.pos]
}

// redisCommand is the context of a command in a pipeline.
func (w *walker) redisCommand(c context) context {
	if w.next() == '[' {
		c.shape = shapeRedisArgs
		w.side.command = commandOf("", w.ahead())
	} else {
		c.shape, c.rule = shapeRedis, nil
	}
	return c
}

// redisArgument gives an argument of a command its rule: by the key that the command is about, or by the name before it.
func (w *walker) redisArgument(c context, i int) context {
	c.shape = shapePlain
	command := &w.side.command
	if command.word {
		i--
	}
	if i < 0 || i >= len(command.args) {
		if i < 0 {
			c.rule = nil // the name of the command
		}
		return c
	}
	if rule, by := c.p.arg(command, i); rule != nil {
		c.rule, c.by = rule, by
	} else if command.isKey(i) {
		c.rule = nil // a rule about values is not about keys
	}
	return c
}

// redisReply gives the reply to a command its rule.
func (w *walker) redisReply(c context, i int) context {
	c.shape = shapeRedisReply
	if i >= len(w.s.commands) {
		return c
	}
	command := &w.s.commands[i]
	if rule, by := c.p.reply(command); rule != nil && c.rule == nil {
		c.rule, c.by = rule, by
	}
	if command.name == "HGETALL" {
		c.shape = shapeRedisPairs
	}
	return c
}

// redisElement is the context of an element of a reply. In pairs, a name comes before each value.
func (w *walker) redisElement(c context, i int) context {
	if c.shape == shapeRedisPairs && i%2 == 1 && c.rule == nil {
		if verdict := c.p.name(w.last); verdict.rule != nil {
			c.rule, c.by, c.name = verdict.rule, "name", verdict
		}
	}
	if c.shape == shapeRedisPairs {
		c.shape = shapeRedisReply
	}
	return c
}

// redisReplyMember is childShape for a reply of a type that JSON has not: {"status":"OK"}, {"map":[k,v,…]}.
func redisReplyMember(child *context, key []byte) {
	switch string(key) {
	case "status", "nil", "error", "blobError":
		child.rule = nil // it says whether the command worked
	case "double", "number", "int":
		child.shape = shapeNumber
	case "verbatim":
		child.shape = shapeVerbatim
	case "map", "attribute":
		child.shape = shapeRedisPairs
	case "set", "push", "of":
		child.shape = shapeRedisReply
	}
}
