package blindspot_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"github.com/flux-go/flux/internal/blindspot"
)

const source = `package shop

import (
	"math/rand/v2"
	"net/http"
	"os"
	clock "time"

	"example.org/time"
)

func order() {
	clock.Now()
	time.Now()
	rand.IntN(3)
	os.ReadFile("a")
	go order()
	http.Get("http://card.example")
	var os door
	os.Open()
}
`

func TestFind(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "shop.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range blindspot.Find(files, file) {
		got = append(got, fmt.Sprint(s.Line, " ", s.What, " ", s.Kind))
	}
	want := []string{
		"13 time.Now clock", "15 math/rand/v2.IntN random", "16 os.ReadFile file", "17 go statement goroutine", "18 net/http.Get network",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%q, want\n%q", got, want)
	}
}
