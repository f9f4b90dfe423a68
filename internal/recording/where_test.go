package recording

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution/record"
)

func TestConditionsHold(t *testing.T) {
	t.Parallel()
	x := failing(request(1, "/orders"), "out of stock")
	x.Trigger.Query = "dry=1"
	x.Labels = map[string]string{"region": "eu"}
	x.Notes = []record.Note{{Name: "cart", Value: payload(t, map[string]any{"items": 3})}}
	x.Input = payload(t, map[string]any{
		"headers": map[string]any{"X-Shop.Name": []string{"east", "west"}},
		"body":    `{"orderId":1009,"big":12345678901234567,"lines":[{"sku":"a","n":1},{"sku":"b","n":2}],"gift":true,"note":null,"":1}`,
	})
	x.Output = payload(t, map[string]any{"status": 500, "body": map[string]any{"text": `{"code":"E7"}`, "bytes": 900, "truncated": true}})
	x.Checkpoints = []record.Checkpoint{
		{Boundary: "http", Target: "https://pay", Shape: "POST /charge", State: record.StateFailed, Error: &record.Error{Class: record.ClassDeadline, Message: "deadline"}},
		{Boundary: "sql", Request: payload(t, map[string]any{"args": []int{4, 5}})},
	}
	for text, want := range map[string]bool{
		"req.body.orderId=1009":                  true,
		"req.body.orderId = 1009":                true,
		"req.body.orderId=1.009e3":               true,
		"req.body.orderId=1010":                  false,
		"req.body.orderId!=1010":                 true,
		"req.body.orderId!=1009":                 false,
		"req.body.orderId>1000":                  true,
		"req.body.orderId>=1009":                 true,
		"req.body.orderId<1009":                  false,
		"req.body.orderId<=99999":                true,
		"req.body.orderid=1009":                  true,
		"req.body.big=12345678901234567":         true,
		"req.body.lines.sku=b":                   true,
		"req.body.lines.1.sku=b":                 true,
		"req.body.lines.0.sku=b":                 false,
		"req.body.lines.7.sku=b":                 false,
		"req.body.lines.n>1":                     true,
		"req.body.gift=true":                     true,
		"req.body.note=null":                     true,
		"req.body.missing=1":                     false,
		"req.body.missing!=1":                    false,
		"req.body~orderId":                       true,
		`req.headers."x-shop.name"=west`:         true,
		`req.headers."x-shop.name".0=west`:       false,
		"res.status=500":                         true,
		"res.body.code=E7":                       true,
		"res.body.bytes>=900":                    true,
		"error.message~stock":                    true,
		"error.class=app":                        true,
		"label.region=eu":                        true,
		"label.zone=eu":                          false,
		"note.cart.items=3":                      true,
		"trigger.query=dry=1":                    true,
		"op.target=https://pay":                  true,
		"op.error.class=deadline":                true,
		"op.req.args=5":                          true,
		"op.req.args=6":                          false,
		"op.shape~charge":                        true,
		"req.body.lines={\"sku\":\"a\",\"n\":1}": false, // objects have no order of names, so they compare as sorted
		"req.body.lines={\"n\":1,\"sku\":\"a\"}": true,
	} {
		if got := conditions(t, text)[0].holds(x); got != want {
			t.Errorf("%s holds: %v, want %v", text, got, want)
		}
	}
	if conditions(t, "error.message~x")[0].holds(request(1, "/")) {
		t.Error("an execution without error has a message")
	}
}

func TestBadConditionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "=", "req.body.orderId", "orderId=1", "req..x=1", "req.=1", `req."x=1`, "stack.x=1"} {
		if c, err := ParseCondition(text); !errors.Is(err, ErrBadCondition) {
			t.Errorf("%q parses to %+v (%v), want ErrBadCondition", text, c, err)
		}
	}
}

// TestConditionsAgreeWithTheirWords draws payloads and conditions: where a condition holds, its words can be found.
func TestConditionsAgreeWithTheirWords(t *testing.T) {
	t.Parallel()
	leaf := rapid.SampledFrom([]string{
		`17`, `17.0`, `1.7e1`, `"17"`, `"1.7e1"`, `-17`, `0.5`, `5e-1`, `900719925474099301`, `900719925474099300`, `1e200`, `true`, `"true"`,
		`null`, `"one two"`, `"ONE"`, `"one, two"`, `"a"`, `"Ä-ö"`, `{"n":17}`, `"{\"n\":17}"`, `["17",18]`, `"` + manyWords + `"`,
	})
	value := rapid.SampledFrom([]string{
		"17", "17.0", "1.7e1", "-17", ".5", "0.5", "900719925474099300", "900719925474099301", "1e200", "true", "null", "one two", "ONE",
		"one, two", "a", "Ä-ö", `{"n":17}`, "18",
	})
	rapid.Check(t, func(t *rapid.T) {
		x := request(1, "/")
		names := []string{"n", "s", "Header", "text", "body"}
		var fields []string
		for _, name := range names {
			if rapid.Bool().Draw(t, name) {
				fields = append(fields, fmt.Sprintf("%q:%s", name, leaf.Draw(t, "value of "+name)))
			}
		}
		x.Input.Data = []byte("{" + strings.Join(fields, ",") + "}")
		path := rapid.SampledFrom([]string{"n", "s", "header", "text", "body", "body.n", "N", "s.0", "header.n"}).Draw(t, "path")
		c := conditions(t, "req."+path+"="+value.Draw(t, "wanted"))[0]
		has, complete := words(x)
		for _, word := range c.words() {
			if c.holds(x) && complete && !slices.Contains(has, word) {
				t.Fatalf("%+v holds for %s, but %q is none of %q", c, x.Input.Data, word, has)
			}
		}
	})
}

func FuzzParseCondition(f *testing.F) {
	for _, text := range []string{"req.body.orderId=1009", `req.headers."x.y"!=1`, "op.req.args.0>=5", "note.a~b", "req. =", `req."`} {
		f.Add(text)
	}
	x := failing(request(1, "/"), "text")
	x.Input = record.Payload{Data: []byte(`{"body":"[1,{\"a\":\"b\"}]"}`)}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			if !errors.Is(err, ErrBadCondition) {
				t.Errorf("%q: %v is no ErrBadCondition", text, err)
			}
			return
		}
		c.holds(x)
	})
}
