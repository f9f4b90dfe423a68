package fluxpgx

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

func newTestWire(tb testing.TB) *wire {
	tb.Helper()
	rec, err := execution.New(execution.Config{Service: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = rec.Close(context.Background()) })
	ctx, x := rec.Begin(tb.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	tb.Cleanup(func() { x.End(nil) })
	client, server := net.Pipe()
	tb.Cleanup(func() { client.Close(); server.Close() })
	w := newWire(ctx, &adapter{rec: rec, target: "test"}, client)
	w.started = true
	return w
}

func messages(tb testing.TB, all ...interface {
	Encode(dst []byte) ([]byte, error)
},
) []byte {
	tb.Helper()
	var data []byte
	for _, m := range all {
		var err error
		if data, err = m.Encode(data); err != nil {
			tb.Fatal(err)
		}
	}
	return data
}

// whole returns the complete messages at the beginning of data.
func whole(data []byte) []byte {
	rest := data
	for len(rest) >= 5 && messageLength(rest) <= len(rest) {
		rest = rest[messageLength(rest):]
	}
	return data[:len(data)-len(rest)]
}

// FuzzMessages holds P1 for messages of any content, in pieces of any size.
func FuzzMessages(f *testing.F) {
	client := messages(f,
		&pgproto3.Parse{Name: "s", Query: "INSERT INTO t VALUES ($1)"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{{1}, nil}}, &pgproto3.Execute{}, &pgproto3.Execute{}, &pgproto3.Sync{},
		&pgproto3.Query{String: "BEGIN"}, &pgproto3.Query{String: "COPY t FROM STDIN"}, &pgproto3.CopyData{Data: []byte("1")}, &pgproto3.CopyDone{},
	)
	server := messages(f,
		&pgproto3.ParseComplete{}, &pgproto3.ParameterDescription{ParameterOIDs: []uint32{23}},
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 23}}}, &pgproto3.BindComplete{},
		&pgproto3.DataRow{Values: [][]byte{{0, 0, 0, 1}}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
		&pgproto3.ErrorResponse{Code: "23505"}, &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.NoticeResponse{Message: "n"},
		&pgproto3.NotificationResponse{Channel: "c"}, &pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.ReadyForQuery{TxStatus: 'T'},
	)
	f.Add(client, server, uint8(3))
	f.Add(server, client, uint8(200))
	f.Add([]byte("Z\x00\x00\x00\x04E\x00\x00\x00\x04"), []byte("Z\x00\x00\x00\x04D\xff\xff\xff\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, client, server []byte, size uint8) {
		w := newTestWire(t)
		var forwarded []byte
		for rest := client; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			part, err := w.fromClient(rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			forwarded, rest = append(forwarded, part...), rest[n:]
		}
		if !bytes.Equal(forwarded, whole(client)) {
			t.Errorf("the server gets %q for %q", forwarded, client)
		}
		for rest := server; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			w.fromServer(rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(w.out, whole(server)) {
			t.Errorf("the client gets %q for %q", w.out, server)
		}
		w.broke(net.ErrClosed)
	})
}

// FuzzAnswers holds that no record makes a replay panic, and that what it answers can be read.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"columns":[{"name":"a","type":"int4","format":1}],"rows":[["5"],[null],[{"base64":"AAE="}]],"tag":"SELECT 3","next":[{"tag":""}]}`))
	f.Add([]byte(`{"copy":"1\n","notices":[{"Message":"n"}],"settings":[["a","b"]],"transaction":"open","tag":"COPY 1"}`))
	f.Add([]byte(`{"columns":[{"type":"oid:7"}],"rows":[[],[1],null],"truncated":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a answer
		if json.Unmarshal(data, &a.responseJSON) != nil {
			return
		}
		var out []byte
		_ = a.encodeAside(&out)
		out = a.encodeCopy(out)
		for _, s := range append([]setJSON{a.setJSON}, a.Next...) {
			out, _ = a.encodeRows(out, &s, &portal{statement: &statement{}, resultFormats: []int16{formatBinary}}, true)
			out = a.encodeEnd(out, &s)
		}
		if !bytes.Equal(whole(out), out) {
			t.Errorf("half a message for %s", data)
		}
	})
}

// FuzzValue holds that a value comes out of a record as it went in, in its format.
func FuzzValue(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5}, uint32(pgtype.Int4OID), true)
	f.Add([]byte("\x01{\"a\": 1}"), uint32(pgtype.JSONBOID), true)
	f.Add([]byte("a\xff\x00"), uint32(pgtype.TextOID), true)
	f.Add([]byte("2026-11-22 10:00:00+00"), uint32(pgtype.TimestamptzOID), false)
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 12}, uint32(pgtype.NumericOID), true)
	f.Fuzz(func(t *testing.T, data []byte, oid uint32, binary bool) {
		v := value{data: data, oid: oid}
		if binary {
			v.format = formatBinary
		}
		text, err := v.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		back, ok := decodeValue(text, oid, v.format, v.format)
		if !ok || !bytes.Equal(back, data) {
			t.Errorf("%q of type %d became %s and then %q", data, oid, text, back)
		}
	})
}
