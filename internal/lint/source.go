package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nameless are package names that tell where code was put, not what it is about.
var nameless = []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "models"}

func checkPackageNames(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.Files {
		if !file.isGo() {
			continue
		}
		name := strings.TrimSuffix(file.Syntax.Name.Name, "_test")
		if slices.Contains(nameless, name) {
			text := fmt.Sprintf("package %s has no noun of its own: name what it holds, or put it where it is used", name)
			findings = append(findings, Finding{Path: file.Path, Line: m.line(file.Syntax.Package), Text: text})
		}
	}
	return findings
}

// checkPackageComments wants a comment that touches the package clause: with a blank line between them `go doc` shows
// nothing. Nor does it show those of test files, so they count only where there are no other files.
func checkPackageComments(m *Module) []Finding {
	var findings []Finding
	for _, folder := range m.packages() {
		files := m.documented(folder)
		if !slices.ContainsFunc(files, func(file *File) bool { return file.Syntax.Doc != nil }) {
			findings = append(findings, Finding{Path: folder, Text: "no file has a comment that touches its package clause"})
		}
	}
	return findings
}

// documented returns the Go files of a folder that `go doc` reads; its test files when it has no others.
func (m *Module) documented(folder string) []*File {
	var files, tests []*File
	for _, file := range m.Files {
		switch {
		case !file.isGo() || file.folder() != folder:
		case file.isTest():
			tests = append(tests, file)
		default:
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return tests
	}
	return files
}

// checkSleep finds tests that wait for time to pass: they are slow on a fast machine and fail on a slow one.
func checkSleep(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.sources() {
		if !file.isTest() {
			continue
		}
		time := importName(file.Syntax, "time")
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && isSelector(selector, time, "Sleep") {
				text := "a test waits for a signal or a condition, or moves the clock of testing/synctest with <-time.After"
				findings = append(findings, Finding{Path: file.Path, Line: m.line(selector.Pos()), Text: text})
			}
			return true
		})
	}
	return findings
}

// importName returns the name under which the file knows the standard package at path, empty when it does not import it.
func importName(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		switch {
		case spec.Path.Value != strconv.Quote(path):
		case spec.Name != nil:
			return spec.Name.Name
		default:
			return path
		}
	}
	return ""
}

func isSelector(selector *ast.SelectorExpr, pkg, name string) bool {
	identifier, ok := selector.X.(*ast.Ident)
	return ok && identifier.Name == pkg && selector.Sel.Name == name
}

// maxFunctionLines is far above the length we find comfortable, which is ten: past it a function is a design question.
const maxFunctionLines = 100

// longFunctions may be longer, each for the reason given. Keys are "folder.Function" or "folder.Type.Method".
var longFunctions = map[string]string{}

func checkFunctionLength(m *Module) []Finding {
	var findings []Finding
	for _, function := range m.longFunctions() {
		if longFunctions[function.name] == "" {
			text := fmt.Sprintf("%s has %d lines, the most is %d", function.name, function.lines, maxFunctionLines)
			findings = append(findings, Finding{Path: function.path, Line: function.line, Text: text})
		}
	}
	return findings
}

type longFunction struct {
	name, path  string
	line, lines int
}

// longFunctions returns the functions of more than maxFunctionLines, in the order of the files.
func (m *Module) longFunctions() []longFunction {
	var long []longFunction
	for _, file := range m.sources() {
		for _, declaration := range file.Syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			line := m.line(function.Pos())
			if lines := m.line(function.End()) - line + 1; lines > maxFunctionLines {
				long = append(long, longFunction{file.folder() + "." + functionName(function), file.Path, line, lines})
			}
		}
	}
	return long
}

// functionName returns the name of a function, with the name of the receiver's type before that of a method.
func functionName(function *ast.FuncDecl) string {
	if function.Recv == nil {
		return function.Name.Name
	}
	receiver := function.Recv.List[0].Type
	for {
		switch expression := receiver.(type) {
		case *ast.StarExpr:
			receiver = expression.X
		case *ast.IndexExpr:
			receiver = expression.X
		case *ast.IndexListExpr:
			receiver = expression.X
		case *ast.Ident:
			return expression.Name + "." + function.Name.Name
		default:
			return function.Name.Name
		}
	}
}

var (
	todo         = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	numberedTODO = regexp.MustCompile(`\bTODO\(#[0-9]+\)`)
)

func checkTODO(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.sources() {
		for _, group := range file.Syntax.Comments {
			for _, comment := range group.List {
				if todo.MatchString(comment.Text) && !numberedTODO.MatchString(comment.Text) {
					findings = append(findings, Finding{
						Path: file.Path, Line: m.line(comment.Pos()), Text: "work left to do has an issue: TODO(#12)",
					})
				}
			}
		}
	}
	return findings
}
