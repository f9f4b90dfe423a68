package keyvalue

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestKeysPageShowsAValue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	v := Value{Type: "int", Revision: 1, Data: []byte("42")}
	if example := fmt.Sprintf("`%x`", v.encode()); !strings.Contains(string(page), example) {
		t.Errorf("docs/format/keys.md has not %s for %v", example, v)
	}
}
