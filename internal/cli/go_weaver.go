package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A weaver runs the go command so that what it compiles is woven.
//
// The go command is told of Flux through a workspace of our own: the modules of the user, as they are, and one that requires
// Flux. Orchestrion looks for its aspects in the directory of the user's go.mod; the driver of go/packages, which it asks for
// that package, points it to ours. So nothing is written into the user's directories. All of it is in a directory of the cache,
// named after what it was made from:
//
//	go.work               the workspace, which also keeps the versions of the user's dependencies
//	go.mod, go.sum        the module that requires Flux
//	orchestrion.tool.go   imports the aspects of package auto
//	orchestrion.yml       aspects for calls in the user's packages
//	driver, package.json  what go/packages asks, and its answer
//	plain                 runs a test without the environment of the build
//	notes                 what is said at each build
//	run/                  programs of flux go run
type weaver struct {
	tool string // path of orchestrion
	dir  string
	env  []string
}

// fluxModule is the module that programs are linked with.
const fluxModule = "github.com/flux-go/flux"

// surroundings are what the go command says of where it is.
type surroundings struct {
	GOMOD, GOWORK, GOVERSION, GOFLAGS string

	modules []module // of the user
	source  string   // directory of Flux's source, "" for the published module
}

// module is one of the user's: part of what go list -m tells.
type module struct{ Path, Dir, GoVersion string }

func (p *program) newWeaver(ctx context.Context) (*weaver, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	s, err := surroundingsOf(ctx)
	if err != nil {
		return nil, err
	}
	w := &weaver{}
	if w.tool, err = p.weavingTool(ctx, cache, s.GOVERSION); err != nil {
		return nil, err
	}
	if w.dir, err = s.prepare(ctx, cache); err != nil {
		return nil, err
	}
	notes, err := os.ReadFile(filepath.Join(w.dir, "notes"))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(p.err, "%s", notes)
	w.env = environ(
		"GOWORK="+filepath.Join(w.dir, "go.work"),
		"GOPACKAGESDRIVER="+filepath.Join(w.dir, "driver"),
		"GOFLAGS="+outsideModule(s.GOFLAGS),
		"DD_ORCHESTRION_IS_GOMOD_VERSION=true", // it shall not write itself into go.mod
	)
	return w, nil
}

// cacheDir returns the directory for what is made once.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", failf("set HOME or XDG_CACHE_HOME", "no directory for a cache: %w", err)
	}
	dir := filepath.Join(cache, "flux")
	return dir, os.MkdirAll(dir, 0o755)
}

func surroundingsOf(ctx context.Context) (*surroundings, error) {
	s := &surroundings{source: fluxSource()}
	out, err := goOutput(ctx, nil, "env", "-json", "GOMOD", "GOWORK", "GOVERSION", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out, s); err != nil {
		return nil, fmt.Errorf("go env -json: %w", err)
	}
	if s.GOMOD == "" || s.GOMOD == os.DevNull {
		return nil, failf("run flux go in a directory of a module", "no go.mod here or above")
	}
	if out, err = goOutput(ctx, nil, "list", "-m", "-json=Path,Dir,GoVersion"); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var m module
		err := decoder.Decode(&m)
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list -m -json: %w", err)
		}
		s.modules = append(s.modules, m)
	}
}

// fluxSource returns the directory of the source that programs are linked with: the one FLUX_SOURCE names, or the one this
// program was built from when it is no release. It returns "" for a release, which programs are linked with as published.
func fluxSource() string {
	if source := os.Getenv("FLUX_SOURCE"); source != "" {
		return source
	}
	_, file, _, _ := runtime.Caller(0)
	source := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil || isRelease(thisBuild()) {
		return ""
	}
	return source
}

// isRelease says that the program was built from a tagged version.
func isRelease(b build) bool {
	return strings.HasPrefix(b.Version, "v") && !strings.Contains(b.Version, "-0.") && !b.Modified
}

// outsideModule returns GOFLAGS without what says which go.mod or vendor directory to use: in a workspace it must not.
func outsideModule(goflags string) string {
	kept := ""
	for flag := range strings.FieldsSeq(goflags) {
		if !strings.HasPrefix(flag, "-mod=") && !strings.HasPrefix(flag, "-modfile=") {
			kept += " " + flag
		}
	}
	return strings.TrimPrefix(kept, " ")
}

// hashOf returns a short name for texts.
func hashOf(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:10])
}

// goOutput runs the go command and returns what it writes. A nil environment is that of this process.
func goOutput(ctx context.Context, env []string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = env
	out, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, failf("install Go from https://go.dev/dl", "no go command: %w", err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
