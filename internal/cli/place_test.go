package cli

import (
	"errors"
	"testing"
	"time"

	"github.com/flux-go/flux/message"
)

func TestPlacesInALog(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]message.Index{
		"beginning":                 0,
		"now":                       message.IndexAt(now),
		"0":                         0,
		"117658940433039360":        117658940433039360,
		"15m":                       message.IndexAt(now.Add(-15 * time.Minute)),
		"2026-01-31":                message.IndexAt(now.Add(-12 * time.Hour)),
		"2026-01-31T11:30":          message.IndexAt(now.Add(-30 * time.Minute)),
		"2026-01-31 11:30:00":       message.IndexAt(now.Add(-30 * time.Minute)),
		"2026-01-31T13:00:00+01:00": message.IndexAt(now),
		"2027-01-31T12:00:00Z":      message.IndexAt(now.AddDate(1, 0, 0)),
	} {
		if got, err := parsePlace(text, now); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1", "-15m", "2026-13-01", "12:00"} {
		if got, err := parsePlace(text, now); !errors.As(err, new(*usageError)) {
			t.Errorf("%q: %d, %v, want a usage error", text, got, err)
		}
	}
}

func TestRetentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"forever": -1, "default": 0, "1s": 1, "12h": 12 * 3600, "30d": 30 * daySeconds} {
		if got, err := parseRetention(text); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "0s", "999ms", "-1h", "0d", "-3d", "d", "1w", "99999999999d"} {
		if got, err := parseRetention(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}
