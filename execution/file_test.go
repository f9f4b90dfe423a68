package execution_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// folder returns a folder with two files.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	fill(t, dir)
	return dir
}

func fill(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{"config.json": `{"currency":"EUR"}`, "logo.png": "\x89PNG\x00\xff"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// invoice does what programs do with files, and returns what it saw.
func invoice(ctx context.Context, dir string) ([]string, error) {
	files := execution.Files(ctx)
	var seen []string
	see := func(what any, err error) {
		var path *fs.PathError
		seen = append(seen, fmt.Sprintf("%v %q %v %v", what, err, errors.Is(err, fs.ErrNotExist), errors.As(err, &path)))
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	see(files.ReadFile(in("config.json")))
	see(files.ReadFile(in("logo.png")))
	see(files.ReadFile(in("missing")))
	info, err := files.Stat(in("logo.png"))
	see(fmt.Sprint(info.Name(), info.Size(), info.Mode(), info.IsDir()), err)
	_, err = files.Stat(in("missing"))
	see("stat", err)
	entries, err := files.ReadDir(dir)
	see(entries, err)
	_, err = files.ReadDir(in("missing"))
	see("list", err)
	see("write", files.WriteFile(in("draft"), []byte("invoice 1"), 0o600))
	see("rename", files.Rename(in("draft"), in("invoice")))
	see("rename", files.Rename(in("draft"), in("invoice")))
	see(files.ReadFile(in("invoice")))
	see(files.ReadFile(in("draft")))
	see("mkdir", files.MkdirAll(in("a/b"), 0o700))
	see("write", files.WriteFile(in("a/b/c"), nil, 0o600))
	see("write", files.WriteFile(in("no/c"), nil, 0o600))
	see("remove", files.Remove(in("invoice")))
	see("remove", files.Remove(in("a")))
	see("remove", files.RemoveAll(in("a")))
	see(files.ReadFile(in("a/b/c")))
	return seen, partly(files, in("config.json"))
}

// partly reads the first bytes of a file, and returns them as an error.
func partly(files execution.FileSystem, name string) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(file, head); err != nil {
		return err
	}
	return fmt.Errorf("begins with %s", head)
}

func TestFilesReplayWithoutTheDisk(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var live, again []string
	of := run(t, nil, func(ctx context.Context, _ *world) (err error) {
		live, err = invoice(ctx, dir)
		return err
	})
	remove(t, dir)
	report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) (err error) {
		again, err = invoice(ctx, dir)
		return err
	})
	if report.Outcome != execution.OutcomeSame {
		t.Errorf("%v\n%+v", report, report.Divergences)
	}
	if !slices.Equal(live, again) {
		t.Errorf("live\n%s\nreplayed\n%s", strings.Join(live, "\n"), strings.Join(again, "\n"))
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the replay touched the disk: %v", err)
	}
}

// TestAReplaySeesWhatItWrote has a program that was changed: it looks at what it writes, of which the record has nothing.
func TestAReplaySeesWhatItWrote(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	draft, final := filepath.Join(dir, "draft"), filepath.Join(dir, "final")
	write := func(files execution.FileSystem) error {
		return errors.Join(files.WriteFile(draft, []byte("text"), 0o640), files.Rename(draft, final))
	}
	of := run(t, nil, func(ctx context.Context, _ *world) error { return write(execution.Files(ctx)) })
	remove(t, dir)
	report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) error {
		files := execution.Files(ctx)
		if err := write(files); err != nil {
			return err
		}
		data, err := files.ReadFile(final)
		if string(data) != "text" || err != nil {
			t.Errorf("content %q, %v", data, err)
		}
		info, err := files.Stat(final)
		if err != nil || info.Size() != 4 || info.Mode() != 0o640 || info.Name() != "final" {
			t.Errorf("info %+v, %v", info, err)
		}
		if _, err := files.Open(draft); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the old name: %v", err)
		}
		return nil
	})
	if report.Outcome != execution.OutcomeSame {
		t.Errorf("%v\n%+v", report, report.Divergences)
	}
}

func TestAReplayStopsAtAFileTheRecordDoesNotHave(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	of := run(t, nil, func(ctx context.Context, _ *world) error {
		return execution.Files(ctx).WriteFile(filepath.Join(dir, "out"), []byte("a"), 0o600)
	})
	for name, program := range map[string]func(files execution.FileSystem) error{
		"other content": func(files execution.FileSystem) error {
			return files.WriteFile(filepath.Join(dir, "out"), []byte("b"), 0o600)
		},
		"other file": func(files execution.FileSystem) error {
			_, err := files.ReadFile(filepath.Join(dir, "config.json"))
			return err
		},
	} {
		report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) error { return program(execution.Files(ctx)) })
		if report.Outcome != execution.OutcomeStopped {
			t.Errorf("%s: %v", name, report)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "out")); string(data) != "a" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestLargeFilesAreRecordedByTheirHash has a file that is larger than what is kept of a body.
func TestLargeFilesAreRecordedByTheirHash(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	dir := folder(t)
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	if err := os.WriteFile(theirs, large, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(name string) func(ctx context.Context, _ *world) error {
		return func(ctx context.Context, _ *world) error {
			files := execution.Files(ctx)
			if err := files.WriteFile(ours, large, 0o600); err != nil {
				return err
			}
			data, err := files.ReadFile(name)
			if err == nil && !bytes.Equal(data, large) {
				t.Errorf("%s has another content", name)
			}
			return err
		}
	}
	ofTheirs, ofOurs := run(t, nil, read(theirs)), run(t, nil, read(ours))
	if size := len(record.Append(nil, ofOurs)); size > len(large) {
		t.Errorf("the record has %d bytes", size)
	}
	if ofTheirs.Replayable.Level != record.ReplayPartial {
		t.Errorf("replayable: %+v", ofTheirs.Replayable)
	}
	if report := replay(t, nil, ofTheirs, nil, read(theirs)); report.Outcome != execution.OutcomeSame {
		t.Errorf("the same file: %v", report)
	}
	remove(t, dir)
	if report := replay(t, nil, ofOurs, nil, read(ours)); report.Outcome != execution.OutcomeSame {
		t.Errorf("written by the replay: %v", report)
	}
	var err error
	replay(t, nil, ofTheirs, nil, func(ctx context.Context, w *world) error {
		err = read(theirs)(ctx, w)
		return err
	})
	if !errors.Is(err, execution.ErrDiverged) {
		t.Errorf("the file is gone: %v", err)
	}
}

// TestResumeRepeatsOnlyWhatMayBeRepeated has an execution whose last operation has no outcome, as that of a process that died.
func TestResumeRepeatsOnlyWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		last    func(files execution.FileSystem, dir string) error
		refused bool
	}{
		"write":      {func(files execution.FileSystem, dir string) error { return files.WriteFile(dir+"/last", nil, 0o600) }, false},
		"mkdir":      {func(files execution.FileSystem, dir string) error { return files.MkdirAll(dir+"/last", 0o700) }, false},
		"remove all": {func(files execution.FileSystem, dir string) error { return files.RemoveAll(dir + "/logo.png") }, false},
		"remove":     {func(files execution.FileSystem, dir string) error { return files.Remove(dir + "/logo.png") }, true},
		"rename":     {func(files execution.FileSystem, dir string) error { return files.Rename(dir+"/logo.png", dir+"/b") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			program := func(ctx context.Context, _ *world) error {
				files := execution.Files(ctx)
				return errors.Join(files.WriteFile(dir+"/first", []byte("1"), 0o600), test.last(files, dir))
			}
			of := run(t, nil, program)
			last := &of.Checkpoints[len(of.Checkpoints)-1]
			last.State, last.Finished = record.StateIntent, 0
			remove(t, dir)
			fill(t, dir)
			rec, _ := recorder(t)
			ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = program(ctx, nil)
			x.End(err)
			if errors.Is(err, execution.ErrRefused) != test.refused || (err != nil) != test.refused {
				t.Errorf("%v: %v", x.Report(), err)
			}
			if _, err := os.Stat(dir + "/first"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was completed was done again: %v", err)
			}
		})
	}
}

// TestARefusedChangeIsNotInDoubt has a file that is not there: nothing was done, so a resume may try again.
func TestARefusedChangeIsNotInDoubt(t *testing.T) {
	t.Parallel()
	of := run(t, nil, func(ctx context.Context, _ *world) error {
		return execution.Files(ctx).Remove(filepath.Join(t.TempDir(), "missing"))
	})
	if cp := &of.Checkpoints[0]; cp.InDoubt() || cp.Succeeded() || cp.Error.Code != "ENOENT" {
		t.Errorf("%s %+v", cp.State, cp.Error)
	}
}

func TestFilesAreAFileSystem(t *testing.T) {
	dir := folder(t)
	t.Chdir(dir)
	program := func(ctx context.Context, _ *world) error {
		found, err := fs.Glob(execution.Files(ctx), "*.json")
		if err == nil && !slices.Equal(found, []string{"config.json"}) {
			t.Errorf("found %q", found)
		}
		return errors.Join(err, fs.WalkDir(execution.Files(ctx), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			_, err = fs.ReadFile(execution.Files(ctx), path)
			return err
		}))
	}
	of := run(t, nil, program)
	for _, name := range []string{"config.json", "logo.png"} {
		remove(t, name)
	}
	if report := replay(t, nil, of, nil, program); report.Outcome != execution.OutcomeSame {
		t.Errorf("%v\n%+v", report, report.Divergences)
	}
}
