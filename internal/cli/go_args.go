package cli

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// valueFlags are the flags of go run whose value may be the next argument. Those with values that are not here have them
// behind "=".
var valueFlags = []string{
	"asmflags", "buildmode", "compiler", "covermode", "coverpkg", "exec", "gccgoflags", "gcflags", "installsuffix", "ldflags", "mod",
	"modfile", "overlay", "p", "pgo", "pkgdir", "tags", "toolexec", "vet",
}

// splitRun takes the arguments of go run apart: flags of the build, then a package or the .go files of one, then arguments of
// the program.
func splitRun(args []string) (flags, program, rest []string) {
	n := 0
	for n < len(args) && strings.HasPrefix(args[n], "-") {
		if takesValue(args[n]) {
			n++
		}
		n++
	}
	n = min(n, len(args))
	flags, rest = args[:n], args[n:]
	files := slices.IndexFunc(rest, func(arg string) bool { return !strings.HasSuffix(arg, ".go") })
	switch {
	case files < 0:
		files = len(rest)
	case files == 0:
		files = 1
	}
	return flags, rest[:files], rest[files:]
}

func takesValue(arg string) bool {
	return slices.Contains(valueFlags, strings.TrimLeft(arg, "-"))
}

// takeFlag removes a flag, in any form, and returns its last value.
func takeFlag(flags []string, name string) (rest []string, value string) {
	for i := 0; i < len(flags); i++ {
		flag, assigned, ok := strings.Cut(strings.TrimLeft(flags[i], "-"), "=")
		switch {
		case flag != name:
			rest = append(rest, flags[i])
		case ok:
			value = assigned
		case i+1 < len(flags):
			i++
			value = flags[i]
		}
	}
	return rest, value
}

// programName returns what go build would call a program: by its first file, its package's path, or the directory it is in.
func programName(program, wd string) string {
	name, isFile := strings.CutSuffix(filepath.ToSlash(program), ".go")
	if !isFile && strings.HasPrefix(name, ".") {
		name = filepath.ToSlash(filepath.Join(wd, name))
	}
	name, _, _ = strings.Cut(name, "@")
	return path.Base(name)
}
