package execution

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An overlay is what an execution did to files, by their absolute paths. Only that of a replay has contents: the disk has those of
// the others.
type overlay struct {
	mu    sync.Mutex
	files map[string]ownFile
}

// An ownFile is a file or a directory that an execution wrote, made, or removed with all that was in it. Its methods work on nil,
// which is one that the execution did nothing to.
type ownFile struct {
	replayed bool // it is so in a replay, and not on the disk
	gone     bool
	data     []byte
	mode     fs.FileMode
	modified time.Time
}

// ownPath returns the path under which a file is known, whatever it is called.
func ownPath(name string) string {
	if path, err := filepath.Abs(name); err == nil {
		return path
	}
	return filepath.Clean(name)
}

// isWithin says that a path is that of a directory or of something in it.
func isWithin(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(dir, string(filepath.Separator)))
}

// find returns what was done to a file, or to a directory above it that is gone since.
func (o *overlay) find(name string) *ownFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	for path, exact := ownPath(name), true; ; exact = false {
		if file, ok := o.files[path]; ok {
			if exact || file.gone {
				return &file
			}
			return nil
		}
		parent := filepath.Dir(path)
		if parent == path {
			return nil
		}
		path = parent
	}
}

func (o *overlay) write(name string, data []byte, mode fs.FileMode, file ownFile) {
	if file.mode = mode; file.replayed {
		file.data = bytes.Clone(data)
	}
	o.put(name, file)
}

// mkdir makes a directory and those above it that are gone.
func (o *overlay) mkdir(name string, mode fs.FileMode, file ownFile) {
	file.mode = mode | fs.ModeDir
	for {
		o.put(name, file)
		name = filepath.Dir(ownPath(name))
		if above := o.find(name); above == nil || !above.gone {
			return
		}
	}
}

func (o *overlay) remove(name string, file ownFile) {
	file.gone = true
	o.mu.Lock()
	o.forget(ownPath(name))
	o.mu.Unlock()
	o.put(name, file)
}

// rename moves what was done to a file. One that nothing was done to is no own one under its new name either.
func (o *overlay) rename(from, to string, file ownFile) {
	if from, to = ownPath(from), ownPath(to); from == to {
		return
	}
	o.mu.Lock()
	moved := make(map[string]ownFile)
	for path, file := range o.files {
		if isWithin(path, from) {
			moved[to+path[len(from):]] = file
		}
	}
	o.forget(to)
	for path, file := range moved {
		o.files[path] = file
	}
	o.mu.Unlock()
	o.remove(from, file)
}

// forget drops what is known of a file and of all that is in it.
func (o *overlay) forget(path string) {
	for known := range o.files {
		if isWithin(known, path) {
			delete(o.files, known)
		}
	}
}

func (o *overlay) put(name string, file ownFile) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.files == nil {
		o.files = make(map[string]ownFile)
	}
	o.files[ownPath(name)] = file
}

// isReplayed says that only the overlay has the file.
func (f *ownFile) isReplayed() bool { return f != nil && f.replayed }

// open opens a file of a replay.
func (f *ownFile) open(name string) (fs.File, error) {
	info, err := f.stat("open", name)
	if err != nil {
		return nil, err
	}
	kept := &keptFile{info: info, rest: bytes.NewReader(f.data)}
	if info.IsDir() {
		kept.end = &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	}
	return kept, nil
}

// stat returns what is known of a file of a replay.
func (f *ownFile) stat(op, name string) (fileInfo, error) {
	if f.gone {
		return fileInfo{}, &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
	}
	return fileInfo{filepath.Base(name), int64(len(f.data)), f.mode, f.modified}, nil
}
