// Package blindspot finds, in the source of a program, what a recorder of executions does not see: clocks, random numbers, files,
// processes, connections and goroutines that go around package execution. Programs built by flux go have most of these covered;
// what is left then is marked.
//
// It reads the source without types: a call is known by the import path of its package and its name. A method, as Dial of a
// net.Dialer, is known only where its type is named in the same expression.
package blindspot

import (
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// A Spot is a place that a recorder does not see.
type Spot struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Kind    string `json:"kind"` // clock, random, environment, network, database, file, process, goroutine
	What    string `json:"what"`
	Instead string `json:"instead"`
	Woven   bool   `json:"woven"` // seen in programs built by flux go
}

// A use is something of a package that is not recorded.
type use struct {
	kind, instead string
	woven         bool
}

// uses are the functions, types and variables to look for, by import path and name.
var uses = map[string]names{
	"time": each(use{"clock", "execution.Now, Since, Until", true}, "Now", "Since", "Until").
		and(use{"clock", "execution.Sleep, After", true}, "Sleep", "After").
		and(use{"clock", "execution.After in a loop", false}, "NewTimer", "NewTicker", "Tick", "AfterFunc"),
	"math/rand":    each(use{"random", "execution.Rand", true}, "Int", "Intn", "Int63", "Int63n", "Int31n", "Float64", "Perm", "Shuffle", "Uint32", "Uint64"),
	"math/rand/v2": each(use{"random", "execution.Rand", true}, "Int", "IntN", "Int64", "Int64N", "N", "Float64", "Perm", "Shuffle", "Uint32", "Uint64"),
	"crypto/rand":  each(use{"random", "execution.RandReader, except for keys", true}, "Read", "Int", "Text", "Reader", "Prime"),
	"github.com/google/uuid": each(use{"random", "execution.UUID", true}, "New", "NewString", "NewRandom").
		and(use{"random", "execution.UUIDv7", true}, "NewV7").and(use{"random", "execution.UUID", false}, "NewUUID", "NewV6"),
	"os": each(use{"environment", "execution.Getenv, LookupEnv", true}, "Getenv", "LookupEnv").
		and(use{"file", "execution.Files", false}, "ReadFile", "WriteFile", "Open", "Remove", "RemoveAll", "Rename", "MkdirAll", "ReadDir", "Stat", "DirFS").
		and(use{"file", "execution.Files and its WriteFile", false}, "Create", "CreateTemp").
		and(use{"file", "execution.Do", false}, "OpenFile", "Mkdir", "MkdirTemp", "Lstat", "Chmod", "Chtimes", "Truncate", "Link", "Symlink").
		and(use{"process", "execution.Do", false}, "StartProcess"),
	"os/exec": each(use{"process", "execution.RunCommand", false}, "Command", "CommandContext"),
	"net": each(use{"network", "rec.Dialer(nil)", false}, "Dial", "DialTimeout", "DialTCP", "Dialer").
		and(use{"network", "execution.Do", false}, "DialUDP", "LookupHost", "LookupIP", "LookupAddr"),
	"crypto/tls": each(use{"network", "rec.Dialer(&tls.Dialer{…})", false}, "Dial", "DialWithDialer", "Dialer"),
	"net/http": each(use{"network", "a client whose Transport is rec.Transport(nil)", true}, "Get", "Post", "PostForm", "Head", "DefaultClient", "DefaultTransport").
		and(use{"network", "a client whose Transport is rec.Transport(nil)", true}, "Transport"),
	"net/smtp":               each(use{"network", "execution.Do", false}, "SendMail", "Dial"),
	"database/sql":           each(use{"database", "rec.OpenDB", true}, "Open", "OpenDB"),
	"github.com/lib/pq":      each(use{"database", "execution.Do", false}, "NewListener"),
	"google.golang.org/grpc": each(use{"network", "the interceptors of fluxgrpc", false}, "Dial", "DialContext"),
}

// names is a table that grows.
type names map[string]use

func each(u use, all ...string) names { return names{}.and(u, all...) }

func (n names) and(u use, all ...string) names {
	for _, name := range all {
		n[name] = u
	}
	return n
}

// Find returns the spots of a file, in the order of its lines.
func Find(files *token.FileSet, file *ast.File) []Spot {
	f := finder{files: files, packages: imports(file)}
	ast.Inspect(file, f.visit)
	slices.SortStableFunc(f.spots, func(a, b Spot) int { return cmp.Compare(a.Line, b.Line) })
	return f.spots
}

// imports returns the import paths by the names they have in a file.
func imports(file *ast.File) map[string]string {
	paths := make(map[string]string)
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if path == "math/rand/v2" {
			name = "rand"
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		paths[name] = path
	}
	return paths
}

type finder struct {
	files    *token.FileSet
	packages map[string]string
	spots    []Spot
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		f.add(n.Pos(), "go statement", use{"goroutine", "execution.Go", true})
	case *ast.SelectorExpr:
		f.selector(n)
	}
	return true
}

func (f *finder) selector(n *ast.SelectorExpr) {
	name, ok := n.X.(*ast.Ident)
	if !ok || name.Obj != nil { // a variable of that name hides the package
		return
	}
	path := f.packages[name.Name]
	if u, found := uses[path][n.Sel.Name]; found {
		f.add(n.Pos(), path+"."+n.Sel.Name, u)
	}
}

func (f *finder) add(pos token.Pos, what string, u use) {
	at := f.files.Position(pos)
	f.spots = append(f.spots, Spot{File: at.Filename, Line: at.Line, Kind: u.kind, What: what, Instead: u.instead, Woven: u.woven})
}
