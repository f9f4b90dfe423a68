package capacitor

import (
	"testing"

	"github.com/coder/websocket"
)

func TestTrafficIsCountedByPath(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	values := s.dial("keyValue", dialing{})
	values.ask("getValue", `"key":"k"`).expect(t, "getValueResult")
	values.ask("areYouThere", "").expect(t, "error")
	values.write("{")
	if err := values.conn.Write(t.Context(), websocket.MessageText, []byte("text")); err != nil {
		t.Fatal(err)
	}
	values.ask("getValue", `"key":"k"`).expect(t, "getValueResult")
	for _, topic := range []string{"a", "b"} {
		s.dial("tracking/publishcustom", dialing{topic: topic}).ask("areYouThere", "")
	}
	s.hangUp(values)
	s.eventually("all is counted", func() bool {
		all := s.handler.Traffic()
		if len(all) != 2 {
			return false
		}
		k, c := all[0], all[1]
		return k.Path == "keyValue" && k.Open == 0 && k.Opened == 1 && k.FramesIn == 5 && k.FramesOut == 4 && k.Errors == 2 &&
			k.Unreadable == 2 && k.BytesIn > 5*10 && k.BytesOut > 4*30 &&
			c.Path == "tracking/publishcustom" && c.Open == 2 && c.Opened == 2 && c.Errors == 2
	})
}
