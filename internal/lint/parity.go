package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parityPage has a row for each feature and each statement about recorded executions, with the tests that show it.
const parityPage = "docs/parity.md"

var (
	parityRow = regexp.MustCompile(`^\| ([FG])-([0-9]+) \|`)
	codeSpan  = regexp.MustCompile("`[^`]+`")
	testName  = regexp.MustCompile(`^([a-z]+)\.((?:Test|Fuzz|Benchmark|Example)\w*)(?:/(.+))?$`)
	// reason is what a row without a test says: one of three words, or a page to read.
	reason = regexp.MustCompile(`\b(open|not core|not applicable)\b|\]\(|this page`)
)

// checkParity wants rows to be numbered one after the other, each test and file that a row names to exist, and a reason where it
// names none.
func checkParity(m *Module) []Finding {
	page := m.file(parityPage)
	if page == nil {
		return nil
	}
	var findings []Finding
	last := make(map[string]int) // number of a kind
	tests := m.tests()
	for i, text := range strings.Split(string(page.Content), "\n") {
		found := func(format string, args ...any) {
			findings = append(findings, Finding{Path: parityPage, Line: i + 1, Text: fmt.Sprintf(format, args...)})
		}
		shown, gone := m.shown(tests, text)
		for _, name := range gone {
			found("%s does not exist", name)
		}
		id := parityRow.FindStringSubmatch(text)
		if id == nil {
			continue
		}
		n, _ := strconv.Atoi(id[2])
		if last[id[1]]++; n != last[id[1]] {
			found("%s-%d stands where %s-%d should", id[1], n, id[1], last[id[1]])
		}
		if shown == 0 && !reason.MatchString(text) {
			found("%s-%d names no test and does not say why", id[1], n)
		}
	}
	return findings
}

// shown returns how many tests, files and targets of make a line names, and those of them that do not exist.
func (m *Module) shown(tests map[string][]string, line string) (n int, gone []string) {
	for _, span := range codeSpan.FindAllString(line, -1) {
		names, exists := m.names(tests, strings.Trim(span, "`"))
		if names {
			n++
		}
		if names && !exists {
			gone = append(gone, span)
		}
	}
	return n, gone
}

// names says whether a text names a test, a file of this module or a target of make, and whether there is such a thing.
func (m *Module) names(tests map[string][]string, text string) (names, exists bool) {
	if name := testName.FindStringSubmatch(text); name != nil {
		parts, exists := tests[name[1]+"."+name[2]]
		return true, exists && (name[3] == "" || slices.Contains(parts, name[3]))
	}
	if target, isTarget := strings.CutPrefix(text, "make "); isTarget {
		makefile := m.file("Makefile")
		return true, makefile != nil && strings.Contains("\n"+string(makefile.Content), "\n"+target+":")
	}
	switch path.Ext(text) {
	case ".go", ".md", ".txtar":
		return true, m.file(text) != nil
	}
	return false, false
}

// tests returns the tests of the module as package.Name, each with all texts in the tests of its folder: the names of its parts
// are among these.
func (m *Module) tests() map[string][]string {
	texts := make(map[string][]string) // of a folder
	folders := make(map[string]string) // of a test
	for _, file := range m.Files {
		if !file.isGo() || !file.isTest() {
			continue
		}
		folder := file.folder()
		for _, declaration := range file.Syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
				folders[m.packageIn(folder)+"."+function.Name.Name] = folder
			}
		}
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && strings.HasPrefix(literal.Value, `"`) {
				text, _ := strconv.Unquote(literal.Value)
				texts[folder] = append(texts[folder], text)
			}
			return true
		})
	}
	tests := make(map[string][]string, len(folders))
	for name, folder := range folders {
		tests[name] = texts[folder]
	}
	return tests
}

// packageIn returns the name that goes with a folder: its own, and for the root that of the module.
func (m *Module) packageIn(folder string) string {
	if folder == "." {
		return path.Base(m.Path)
	}
	return path.Base(folder)
}
