package lint

import (
	"bytes"
	"regexp"
	"strings"
)

// machinePath matches absolute paths into the folders where people and build machines keep their work. They mean
// nothing to anyone else.
var machinePath = regexp.MustCompile(`(^|[^a-z])/(work|farm|root|Users|home/[a-z]+)/`)

func checkMachinePaths(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.Files {
		if strings.HasSuffix(file.Path, ".sum") { // its hashes may read like anything
			continue
		}
		for i, line := range bytes.Split(file.Content, []byte("\n")) {
			if match := machinePath.Find(line); match != nil {
				text := "path of one machine: " + strings.TrimSpace(string(match))
				findings = append(findings, Finding{Path: file.Path, Line: i + 1, Text: text})
			}
		}
	}
	return findings
}
