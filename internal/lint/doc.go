// Package lint holds the house rules that a compiler cannot: which package may import which, and how the code is kept
// readable. `make lint` and `make test` run them over the whole module.
//
// The tables are meant to be edited. A new package gets a layer in layers.go, a new dependency a line in dependencies.go,
// a function that is long for a good reason a line in longFunctions. Each line says why, so that its author stops to
// think and its reader need not ask.
package lint

import "fmt"

// A Finding is one place where the module breaks a rule. Line is 0 when the finding is about the whole file or folder.
type Finding struct {
	Rule string
	Path string
	Line int
	Text string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", f.Path, f.Rule, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.Path, f.Line, f.Rule, f.Text)
}

// A rule looks through the module and returns what breaks it, in the order of the files.
type rule struct {
	name  string
	check func(*Module) []Finding
}

var rules = []rule{
	{"layers", checkLayers},
	{"arrows", checkArrows},
	{"dependencies", checkDependencies},
	{"package-name", checkPackageNames},
	{"package-comment", checkPackageComments},
	{"sleep", checkSleep},
	{"function-length", checkFunctionLength},
	{"todo", checkTODO},
	{"machine-path", checkMachinePaths},
	{"parity", checkParity},
}

// Check returns everything in the module that breaks a rule, rule by rule.
func Check(module *Module) []Finding {
	var findings []Finding
	for _, rule := range rules {
		for _, finding := range rule.check(module) {
			finding.Rule = rule.name
			findings = append(findings, finding)
		}
	}
	return findings
}
