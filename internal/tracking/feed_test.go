package tracking

import (
	"testing"

	"github.com/flux-go/flux/message"
)

func TestTruncatedMessagesOfABlockAreNotDelivered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		tracker Tracker
	}{
		{"to one that takes all", Tracker{}},
		{"to one that filters", Tracker{TypeFilter: ".*"}},
		{"to one that ignores segments", Tracker{IgnoreSegment: true}},
		{"to one that keeps its index", Tracker{ClientControlled: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				indexes := w.append(1, 2, 3, 4, 5)
				later := w.append(6, 7)
				w.truncate(events, indexes[2])

				asked := tracker("a")
				asked.TypeFilter, asked.IgnoreSegment = test.tracker.TypeFilter, test.tracker.IgnoreSegment
				asked.ClientControlled, asked.Last = test.tracker.ClientControlled, at(message.Beginning)
				w.wantMessages(w.read(asked), append(indexes[3:], later...)...)
			})
		})
	}
}
