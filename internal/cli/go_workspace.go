package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	parts := []string{thisBuild().String(), orchestrionVersion, s.GOMOD, s.GOWORK, s.GOVERSION, s.source, callAspects(nil)}
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
	for name, content := range s.files(dir) {
		if err := os.WriteFile(filepath.Join(draft, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	return s.fit(ctx, draft)
}

// files returns what is in a directory that will be called dir, by name.
func (s *surroundings) files(dir string) map[string]string {
	return map[string]string{
		"go.mod":              s.fluxGoMod(),
		"go.work":             s.goWork(nil),
		"orchestrion.tool.go": toolFile(nil),
		"orchestrion.yml":     callAspects(s.modules),
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
// it, and aspects of libraries are there when the library is.
func (s *surroundings) fit(ctx context.Context, dir string) error {
	without, err := buildList(ctx, nil)
	if err != nil {
		return err
	}
	with, err := buildList(ctx, environ("GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS="+outsideModule(s.GOFLAGS)))
	if err != nil {
		return err
	}
	var replace []string
	for path, version := range with {
		if before := without[path]; before != "" && before != version && version != "" {
			replace = append(replace, fmt.Sprintf("%s %s => %s %s", path, version, path, before))
		}
	}
	slices.Sort(replace)
	if err := os.WriteFile(filepath.Join(dir, "go.work"), []byte(s.goWork(replace)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "orchestrion.tool.go"), []byte(toolFile(without)), 0o644)
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
