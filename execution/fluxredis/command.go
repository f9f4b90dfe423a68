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

// blocking are the commands that wait for data, and the features that strict refuses them under.
var blocking = words(`BLPOP BRPOP BZPOPMIN BZPOPMAX BLMOVE BRPOPLPUSH BLMPOP BZMPOP WAIT WAITAOF`)

var (
	transactions  = words(`MULTI EXEC WATCH UNWATCH`)
	subscriptions = words(`SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE PUBLISH`)
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
	key := string(argument(cmd.Args()[1]))
	if len(key) > 100 {
		key = key[:100]
	}
	return name + " " + record.Mask(strings.ToValidUTF8(key, "?"))
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
func waits(cmd redis.Cmder) bool {
	name := nameOf(cmd)
	if name != "XREAD" && name != "XREADGROUP" {
		return blocking[name]
	}
	for _, arg := range cmd.Args() {
		if strings.EqualFold(string(argument(arg)), "block") {
			return true
		}
	}
	return false
}

// refusal returns the error with which strict refuses a command, nil for those it lets pass.
func refusal(cmd redis.Cmder) error {
	feature := ""
	switch name := nameOf(cmd); {
	case transactions[name]:
		feature = "transactions are"
	case subscriptions[name]:
		feature = "pub/sub is"
	case waits(cmd):
		feature = "blocking commands are"
	default:
		return nil
	}
	return fmt.Errorf("%w: Redis %s not supported in Flux (non-deterministic execution)", ErrRefused, feature)
}
