package record

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSummaryNamesTheFailureAndWhatItIsTiedTo(t *testing.T) {
	t.Parallel()
	x := failedPayment()
	x.Checkpoints[1].State = StateInDoubt
	x.Error.Message = "\n first \nsecond"
	s := Summarize(x)
	if s.Error != "first" || s.ErrorClass != ClassApp || s.ErrorType != "*fmt.wrapError" || s.Fingerprint != Fingerprint(x) {
		t.Errorf("error %q, class %q, type %q, fingerprint %q", s.Error, s.ErrorClass, s.ErrorType, s.Fingerprint)
	}
	if s.Checkpoints != 3 || s.Logs != 5 || s.InDoubt != 1 || s.Level != ReplayPartial {
		t.Errorf("%d checkpoints, %d logs, %d in doubt, level %q", s.Checkpoints, s.Logs, s.InDoubt, s.Level)
	}
	if len(s.Links) != 2 || s.Links[0].MessageID != "m-0" || s.Links[1].MessageID != "m-1" {
		t.Errorf("links %+v, want m-0 and m-1, once each", s.Links)
	}
}

func TestATraceIsKnownByItsID(t *testing.T) {
	t.Parallel()
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for trace, want := range map[string]string{
		"00-" + id + "-" + span + "-01":                  id,
		"00-" + strings.ToUpper(id) + "-" + span + "-00": id,
		"cc-" + id + "-" + span + "-00-more":             id, // of a later version
		"00-" + id + "-" + span:                          "",
		"00-" + id[1:] + "-" + span + "-01":              "",
		"00-" + id + "-" + span[1:] + "-01":              "",
		"00-" + id[1:] + "g-" + span + "-01":             "",
		"":                                               "",
	} {
		x := payment()
		x.Trigger.Trace = trace
		wantSpan := ""
		if want != "" {
			wantSpan = span
		}
		if got, gotSpan := Summarize(x).Trace, x.Trigger.TraceSpan(); got != want || gotSpan != wantSpan {
			t.Errorf("trace of %q: %q with span %q, want %q with %q", trace, got, gotSpan, want, wantSpan)
		}
	}
}

func TestSummaryStaysSmall(t *testing.T) {
	t.Parallel()
	x := failedPayment()
	x.Error.Message = strings.Repeat("größer ", 1000)
	for i := range 10_000 {
		x.Links = append(x.Links, Link{Kind: LinkEffect, MessageID: strconv.Itoa(i)})
	}
	s := Summarize(x)
	if len(s.Error) > MaxErrorBytes || !utf8.ValidString(s.Error) || !strings.HasSuffix(s.Error, "…") {
		t.Errorf("error of %d bytes: %q", len(s.Error), s.Error)
	}
	if len(s.Links) != MaxSummaryLinks {
		t.Errorf("%d links, want %d", len(s.Links), MaxSummaryLinks)
	}
}
