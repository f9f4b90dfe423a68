package fluxredis

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution/record"
)

// reads are the commands that change nothing. All others are taken to write.
var reads = words(`GET MGET STRLEN GETRANGE SUBSTR EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE KEYS SCAN RANDOMKEY DUMP OBJECT
	HGET HMGET HGETALL HLEN HKEYS HVALS HEXISTS HSCAN HSTRLEN HRANDFIELD HTTL HPTTL LRANGE LLEN LINDEX LPOS
	SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN SINTER SUNION SDIFF SINTERCARD
	ZSCORE ZMSCORE ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZRANK ZREVRANK ZCARD ZCOUNT ZLEXCOUNT
	ZSCAN ZRANDMEMBER ZINTER ZUNION ZDIFF ZINTERCARD BITCOUNT BITPOS GETBIT BITFIELD_RO PFCOUNT
	GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO XLEN XRANGE XREVRANGE XREAD XPENDING XINFO
	PING ECHO TIME DBSIZE INFO LASTSAVE MEMORY SORT_RO EVAL_RO EVALSHA_RO FCALL_RO WATCH UNWATCH LCS
	JSON.GET JSON.MGET JSON.TYPE FT.SEARCH FT.AGGREGATE TS.GET TS.RANGE`)

// handshake are the commands with which connections begin. They belong to no execution.
var handshake = words(`HELLO AUTH SELECT CLIENT READONLY COMMAND CLUSTER`)

// blocking are the commands that wait for data.
var blocking = words(`BLPOP BRPOP BZPOPMIN BZPOPMAX BLMOVE BRPOPLPUSH BLMPOP BZMPOP WAIT WAITAOF`)

// What strict refuses, beside XREAD and XREADGROUP that block.
var (
	transactions  = words(`MULTI EXEC WATCH UNWATCH`)
	subscriptions = words(`SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE PUBLISH`)
	pops          = words(`BLPOP BRPOP BZPOPMIN BZPOPMAX`)
)

func words(text string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// A command is what is recorded of a command: its words.
type command []record.Body

func commandOf(cmd redis.Cmder) command {
	args := cmd.Args()
	out := make(command, len(args))
	for i, arg := range args {
		text := argument(arg)
		out[i] = record.NewBody(text, len(text))
	}
	return out
}

// argument is an argument as go-redis writes it.
func argument(arg any) []byte {
	switch v := arg.(type) {
	case nil:
		return nil
	case string:
		return []byte(v)
	case []byte:
		return v
	case bool:
		if v {
			return []byte("1")
		}
		return []byte("0")
	case float32:
		return strconv.AppendFloat(nil, float64(v), 'f', -1, 64)
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64)
	case time.Time:
		return v.AppendFormat(nil, time.RFC3339Nano)
	case time.Duration:
		return strconv.AppendInt(nil, v.Nanoseconds(), 10)
	case encoding.BinaryMarshaler:
		data, err := v.MarshalBinary()
		if err == nil {
			return data
		}
	}
	return fmt.Append(nil, arg)
}

// nameOf is the name of a command in upper case.
func nameOf(cmd redis.Cmder) string { return strings.ToUpper(cmd.Name()) }

// shapeOf is the name of a command and its first key, with what differs between keys of one kind left out: "GET session:?".
func shapeOf(cmd redis.Cmder) string {
	name := nameOf(cmd)
	if len(cmd.Args()) < 2 || handshake[name] {
		return name
	}
	return name + " " + maskedKey(argument(cmd.Args()[1]))
}

// maskedKey is a key, or the name of a channel, with what differs between those of one kind left out.
func maskedKey(key []byte) string {
	return record.Mask(strings.ToValidUTF8(string(key[:min(len(key), 100)]), "?"))
}

func effectOf(cmds ...redis.Cmder) record.Effect {
	for _, cmd := range cmds {
		if name := nameOf(cmd); !reads[name] && name != "MULTI" && name != "EXEC" {
			return record.EffectWrite
		}
	}
	return record.EffectRead
}

// waits says that a command waits for data longer than others, with a limit of its own.
func waits(cmd redis.Cmder) bool { return blocking[nameOf(cmd)] || readsAndWaits(cmd) }

// readsAndWaits says that a command is an XREAD or XREADGROUP with BLOCK, which stands before the names of streams.
func readsAndWaits(cmd redis.Cmder) bool {
	if name := nameOf(cmd); name != "XREAD" && name != "XREADGROUP" {
		return false
	}
	for _, arg := range cmd.Args() {
		switch word := string(argument(arg)); {
		case strings.EqualFold(word, "block"):
			return true
		case strings.EqualFold(word, "streams"):
			return false
		}
	}
	return false
}

// refusal returns the error with which strict refuses a command, nil for those it lets pass.
func refusal(cmd redis.Cmder) error { return refusalOf(nameOf(cmd), readsAndWaits(cmd)) }

// firstRefusal returns the error with which strict refuses commands that are sent together, nil when it lets them pass.
func firstRefusal(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := refusal(cmd); err != nil {
			return err
		}
	}
	return nil
}

// refusalOf is refusal for the name of a command.
func refusalOf(name string, blocks bool) error {
	feature := ""
	switch {
	case transactions[name]:
		feature = "transactions are"
	case subscriptions[name]:
		feature = "pub/sub is"
	case pops[name] || blocks:
		feature = "blocking commands are"
	default:
		return nil
	}
	return fmt.Errorf("%w: Redis %s not supported in Flux (non-deterministic execution)", ErrRefused, feature)
}
