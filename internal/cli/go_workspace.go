package cli

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// prepare returns the directory for these surroundings, and makes it when it is not there.
func (s *surroundings) prepare(ctx context.Context, cache string) (string, error) {
	key, err := s.key()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "go", key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	draft, err := os.MkdirTemp(filepath.Dir(dir), key+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(draft)
	if err := s.fill(ctx, draft, dir); err != nil {
		return "", err
	}
	if err := os.Rename(draft, dir); err != nil && !errors.Is(err, fs.ErrExist) { // another one was faster
		return "", err
	}
	return dir, nil
}

// key returns a name for all that the directory is made from.
func (s *surroundings) key() (string, error) {
	parts := []string{
		thisBuild().String(), orchestrionVersion, s.GOMOD, s.GOWORK, s.GOVERSION, s.source,
		callAspects(nil, nil), fmt.Sprint(importingCalls, libraryPackages),
	}
	files := []string{s.GOWORK, s.GOWORK + ".sum"}
	for _, m := range s.modules {
		parts = append(parts, m.Path, m.Dir)
		files = append(files, filepath.Join(m.Dir, "go.mod"), filepath.Join(m.Dir, "go.sum"))
	}
	if s.source != "" {
		files = append(files, filepath.Join(s.source, "go.mod"))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && file != "" {
			return "", err
		}
		parts = append(parts, string(content))
	}
	return hashOf(parts...), nil
}

// fill writes the files of a directory that will be called dir.
func (s *surroundings) fill(ctx context.Context, draft, dir string) error {
	if err := writeFiles(draft, s.files(dir)); err != nil {
		return err
	}
	return s.fit(ctx, draft)
}

// files returns what is in a directory that will be called dir, by name.
func (s *surroundings) files(dir string) map[string]string {
	return map[string]string{
		"go.mod":              s.fluxGoMod(),
		"go.work":             s.goWork(nil),
		"orchestrion.tool.go": toolFile(nil),
		"orchestrion.yml":     callAspects(s.modules, nil),
		"package.json":        driverAnswer(filepath.Join(dir, "orchestrion.tool.go")),
		"driver":              fmt.Sprintf(driverScript, shellQuote(filepath.Dir(s.GOMOD)), shellQuote(filepath.Join(dir, "package.json"))),
		"plain":               plainScript,
	}
}

// fluxGoMod is the module that requires Flux.
func (s *surroundings) fluxGoMod() string {
	text := "module flux.invalid/woven\n\ngo " + strings.TrimPrefix(s.GOVERSION, "go") + "\n"
	if s.source == "" {
		text += fmt.Sprintf("\nrequire %s %s\n", fluxModule, thisBuild().Version)
	}
	return text
}

// goWork is the workspace: the user's modules, ours, and Flux where its source is at hand. Versions that replace others are
// those of the user's dependencies.
func (s *surroundings) goWork(replace []string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "go %s\n\nuse .\n", strings.TrimPrefix(s.GOVERSION, "go"))
	dirs := make([]string, 0, len(s.modules)+1)
	for _, m := range s.modules {
		dirs = append(dirs, m.Dir)
	}
	if s.source != "" && !slices.ContainsFunc(s.modules, func(m module) bool { return m.Path == fluxModule }) {
		dirs = append(dirs, s.source)
	}
	for _, dir := range dirs {
		fmt.Fprintf(&text, "use %q\n", dir)
	}
	if s.GOWORK == "" { // the defaults of the runtime are those of the program's version of Go, not of ours
		fmt.Fprintf(&text, "godebug default=go%s\n", s.modules[0].GoVersion)
	}
	for _, line := range replace {
		fmt.Fprintf(&text, "replace %s\n", line)
	}
	return text.String()
}

// fit fits the files to the modules that the user's need: versions that Flux would raise are replaced by those they are without
// it, and aspects of libraries are there when the library is, and is not too old.
func (s *surroundings) fit(ctx context.Context, dir string) error {
	without, err := buildList(ctx, nil)
	if err != nil {
		return err
	}
	with, err := buildList(ctx, environ("GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS="+outsideModule(s.GOFLAGS)))
	if err != nil {
		return err
	}
	required, err := s.required()
	if err != nil {
		return err
	}
	hollow, err := s.hollow(without, with)
	if err != nil {
		return err
	}
	var replace []string
	for path, raised := range with {
		if before := without[path]; before != "" && before != raised && raised != "" && (required == nil || required[path]) {
			replace = append(replace, fmt.Sprintf("%s %s => %s %s", path, raised, path, before))
		}
	}
	for i, path := range hollow {
		name := fmt.Sprintf("hollow-%d", i)
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, "go.mod"), []byte("module "+path+"\n"), 0o644); err != nil {
			return err
		}
		replace = append(replace, fmt.Sprintf("%s => ./%s", path, name))
	}
	slices.Sort(replace)
	libraries, notes := woven(without)
	return writeFiles(dir, map[string]string{
		"go.work":             s.goWork(replace),
		"orchestrion.tool.go": toolFile(libraries),
		"orchestrion.yml":     callAspects(s.modules, libraries),
		"notes":               notes,
	})
}

// required returns the modules that can have a package of the program: those in a go.mod of the user. Others are in the build list
// because one of these requires them, and a workspace may choose such a one for a package that two have. Before Go 1.17, go.mod
// did not have all of them: nil stands for all.
func (s *surroundings) required() (map[string]bool, error) {
	paths := make(map[string]bool)
	for _, m := range s.modules {
		if m.GoVersion == "" || version.Compare("go"+m.GoVersion, "go1.17") < 0 {
			return nil, nil
		}
		if err := addRequired(paths, m.Dir); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// hollow returns the modules whose packages must not be found, given the versions of a build without Flux and with it: those that
// no go.mod of the user or of Flux names, but one of a dependency does, and that have a part which is a module of its own today.
// A workspace looks into them all the same, and the part's packages would be in both.
func (s *surroundings) hollow(without, with map[string]string) (paths []string, err error) {
	if s.source == "" {
		return nil, nil // Flux is a dependency: what its dependencies need is not looked at
	}
	named := make(map[string]bool)
	if err := addRequired(named, s.source); err != nil {
		return nil, err
	}
	all := slices.Sorted(maps.Keys(with))
	for i, path := range all {
		if without[path] == "" && !named[path] && i+1 < len(all) && strings.HasPrefix(all[i+1], path+"/") {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// addRequired adds the modules that the go.mod of a directory requires.
func addRequired(paths map[string]bool, dir string) error {
	name := filepath.Join(dir, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		return err
	}
	for _, r := range file.Require {
		paths[r.Mod.Path] = true
	}
	return nil
}

func writeFiles(dir string, files map[string]string) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// buildList returns the versions of all modules of a build, by path. Those that are replaced, and the user's own, have none.
func buildList(ctx context.Context, env []string) (map[string]string, error) {
	out, err := goOutput(ctx, env, "list", "-m", "-f", "{{if not .Replace}}{{.Path}} {{.Version}}{{end}}", "all")
	if err != nil {
		return nil, err
	}
	versions := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			versions[path] = version
		}
	}
	return versions, nil
}
