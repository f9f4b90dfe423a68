package cli

import (
	"strconv"
	"time"

	"github.com/flux-go/flux/message"
)

// placeHelp tells how a place in a log is written.
const placeHelp = "beginning, now, an index, a time such as 2026-01-31T12:00:00Z or 2026-01-31 (UTC), or a time ago such as 15m"

// parsePlace returns the index of the first message at a place in a log: everything from that index on lies there.
func parsePlace(text string, now time.Time) (message.Index, error) {
	switch text {
	case "beginning":
		return message.Beginning + 1, nil
	case "now":
		return message.IndexAt(now), nil
	}
	if index, err := strconv.ParseInt(text, 10, 64); err == nil && index >= 0 {
		return message.Index(index), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return message.IndexAt(now.Add(-ago)), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return message.IndexAt(t), nil
		}
	}
	return 0, usagef("use "+placeHelp, "%q is no place in a log", text)
}

// parseLog returns a log from how people write it.
func parseLog(text string) (message.Log, error) {
	log, err := message.ParseLog(text)
	if err != nil {
		return log, usagef("a log is called event, command or query, or custom/TOPIC, for example", "%w", err)
	}
	return log, nil
}
