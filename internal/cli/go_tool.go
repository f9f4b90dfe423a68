package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// orchestrion is the tool that weaves: it runs between the go command and the compiler.
const (
	orchestrionPath    = "github.com/DataDog/orchestrion"
	orchestrionVersion = "v1.15.0"
)

// weavingTool returns the path of orchestrion: the one FLUX_ORCHESTRION names, or one in the cache, which is built when it is
// not there. It reads what this version of Go compiled, so each version has its own.
func (p *program) weavingTool(ctx context.Context, cache, goVersion string) (string, error) {
	if path := os.Getenv("FLUX_ORCHESTRION"); path != "" {
		return path, nil
	}
	path := filepath.Join(cache, "orchestrion-"+orchestrionVersion+"-"+goVersion)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(p.err, "Building %s %s, once for %s.\n", orchestrionPath, orchestrionVersion, goVersion)
	bin, err := os.MkdirTemp(cache, "bin-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(bin)
	install := exec.CommandContext(ctx, "go", "install", orchestrionPath+"@"+orchestrionVersion)
	install.Env = environ("GOBIN="+bin, "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=")
	install.Dir, install.Stdout, install.Stderr = bin, p.err, p.err
	if err := install.Run(); err != nil {
		const hint = "check that the go command reaches its proxy, or name the tool in FLUX_ORCHESTRION"
		return "", failf(hint, "install %s@%s: %w", orchestrionPath, orchestrionVersion, err)
	}
	return path, os.Rename(filepath.Join(bin, filepath.Base(orchestrionPath)), path)
}

// environ returns the environment of this process with some variables set, or unset when there is nothing behind "=".
func environ(set ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	return append(env, slices.DeleteFunc(slices.Clone(set), func(s string) bool { return strings.HasSuffix(s, "=") })...)
}
