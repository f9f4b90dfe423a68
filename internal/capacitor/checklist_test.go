package capacitor

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The page that says which test covers which statement of the checklist names every statement once, and no test that is
// not there.
func TestChecklistNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol/capacitor.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := sources(t)
	row := regexp.MustCompile(`(?m)^\| (\d+) \| .* \| (.*) \|$`)
	named := regexp.MustCompile(`^(Test\w+)/(\d{3})$`)
	number := 0
	for _, match := range row.FindAllStringSubmatch(string(page), -1) {
		number++
		if n, _ := strconv.Atoi(match[1]); n != number {
			t.Errorf("row %s comes at %d", match[1], number)
		}
		name := named.FindStringSubmatch(match[2])
		if name == nil {
			continue // a test of another package, or one that is still to come
		}
		n, _ := strconv.Atoi(name[2])
		forms := []string{fmt.Sprintf("item(t, %d, ", n), fmt.Sprintf("t.Run(\"%03d ", n), fmt.Sprintf("\t\t%d: {", n)}
		if !strings.Contains(tests, "func "+name[1]+"(") || !containsAny(tests, forms) {
			t.Errorf("there is no test %s", match[2])
		}
	}
	if number != 130 {
		t.Errorf("%d rows", number)
	}
}

func sources(t *testing.T) string {
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
