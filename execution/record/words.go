package record

// words are the strings with the places below firstOwnPlace: those that nearly every execution has. They are part of the
// format and never change within a version.
var words = [...]string{
	"root", "http", "sql", "postgres", "redis", "grpc", "flux", "done", "failed", "intent", "in-doubt", "cancelled", // 0
	"none", "read", "write", "unknown", "live", "recorded", "probed", "assumed", "ok", "error", "timeout", "crashed", // 12
	"interrupted", "stopped", "running", "message", "job", "cli", "test", "boot", "GET", "POST", "PUT", "DELETE", // 24
	"PATCH", "full", "partial", "slow", "sampled", "asked", "new-code", "clock", "random", "env", "cause", "effect", // 36
	"replay", "resume", "retry", "child", "app", "canceled", "deadline", "driver", "refused", "panic", "tx1", "event", // 48
	"command", "query", "production", "BEGIN", // 60
}

// firstOwnPlace is the place of the first string of an execution's own table.
const firstOwnPlace = len(words)

var wordPlaces = func() map[string]uint64 {
	places := make(map[string]uint64, len(words))
	for i, word := range words {
		places[word] = uint64(i)
	}
	return places
}()
