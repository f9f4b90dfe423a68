package lint

import (
	"fmt"
	"slices"
	"strings"
)

// An importGraph tells for each package of the module, by folder, what its files other than tests import: packages of the
// module by folder, all others by import path.
type importGraph map[string][]string

func (m *Module) imports() importGraph {
	graph := importGraph{}
	for _, file := range m.Files {
		if !file.isGo() || file.isTest() {
			continue
		}
		for _, path := range file.imports() {
			graph[file.folder()] = append(graph[file.folder()], m.relative(path))
		}
	}
	for folder, imports := range graph {
		slices.Sort(imports)
		graph[folder] = slices.Compact(imports)
	}
	return graph
}

// relative turns the import path of a package of the module into its folder and leaves all others as they are.
func (m *Module) relative(path string) string {
	if path == m.Path {
		return "."
	}
	return strings.TrimPrefix(path, m.Path+"/")
}

// packages returns the folders that hold Go files, sorted.
func (m *Module) packages() []string {
	var folders []string
	for _, file := range m.Files {
		if file.isGo() {
			folders = append(folders, file.folder())
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

func checkArrows(m *Module) []Finding {
	graph := m.imports()
	var findings []Finding
	for _, folder := range m.packages() {
		for _, arrow := range arrows {
			if !slices.Contains(arrow.from, layerOf(folder)) {
				continue
			}
			if way := graph.way(folder, arrow); way != nil {
				text := fmt.Sprintf("%s, but %s", strings.Join(way, " imports "), arrow.why)
				findings = append(findings, Finding{Path: folder, Text: text})
			}
		}
	}
	return findings
}

// way returns the shortest chain of imports from the package to something that the arrow forbids, nil when there is none.
func (g importGraph) way(start string, arrow arrow) []string {
	queue, seen := [][]string{{start}}, map[string]bool{start: true}
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, next := range g[chain[len(chain)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if arrow.forbids(next) {
				return longer
			}
			if !arrow.direct {
				queue = append(queue, longer)
			}
		}
	}
	return nil
}

func (a arrow) forbids(path string) bool {
	return slices.ContainsFunc(a.never, func(name string) bool {
		if prefix, ok := outside[name]; ok {
			return covers(prefix+"/...", path)
		}
		return layerOf(path) == name
	})
}
