package execution

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// A FileSystem is the files of this machine as an execution sees them: each call is an operation of the boundary "file". Its methods
// are the functions of package os, with their names and errors.
//
// What is read is recorded with its content, up to Limits.BodyBytes and beyond that with the hash of the whole. In a replay nothing
// is changed: what the program writes, renames and removes is so for the rest of the replay only, and reads of that see it. Other
// reads are answered from the record. A file of which the record has only the hash is taken from this machine if it is the same.
//
// In a resume what was completed is not done again. WriteFile, MkdirAll and RemoveAll may be repeated without harm, so a resume does
// when it is not known whether they were completed; about Remove and Rename it asks.
//
// It is a file system of package io/fs, too, for html/template and others, with names as package os takes them instead of those of
// fs.ValidPath. What it has no method for, such as appending to a file, is for [Do].
type FileSystem struct{ ctx context.Context }

var _ interface {
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
} = FileSystem{}

// Files returns the files that the execution of the context sees. Without an execution they are those of package os.
func Files(ctx context.Context) FileSystem { return FileSystem{ctx} }

const boundaryFile = "file"

// fileRequest is what is asked of the file system.
type fileRequest struct {
	Path string      `json:"path"`
	To   string      `json:"to,omitempty"`   // new name
	Mode fs.FileMode `json:"mode,omitempty"` // permissions of what is made
	Body record.Body `json:"body,omitzero"`
}

// fileShape returns "READ /orders/{id}.json" for a file of that kind.
func fileShape(verb, name string) string {
	extension := filepath.Ext(name)
	return verb + " " + pathTemplate(filepath.ToSlash(strings.TrimSuffix(name, extension))) + extension
}

// Open opens a file for reading. How much of it is read is recorded.
func (f FileSystem) Open(name string) (fs.File, error) { return f.open(name) }

// ReadFile is os.ReadFile.
func (f FileSystem) ReadFile(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var content bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		content.Grow(int(info.Size()) + bytes.MinRead)
	}
	_, err = content.ReadFrom(file)
	return content.Bytes(), err
}

// Stat is os.Stat.
func (f FileSystem) Stat(name string) (fs.FileInfo, error) {
	mine := f.mine(name)
	var live fs.FileInfo
	info, err := Do(f.ctx, f.read("STAT", name, mine), func(context.Context) (info fileInfo, err error) {
		if mine.isReplayed() {
			return mine.stat("stat", name)
		}
		if live, err = os.Stat(name); err != nil {
			return info, err
		}
		return newFileInfo(live), nil
	})
	switch {
	case err != nil:
		return nil, err
	case live != nil: // with what only the system knows
		return live, nil
	case info.isZero():
		info, err = mine.stat("stat", name)
	}
	return info, err
}

// ReadDir is os.ReadDir. In a replay it returns what was there when it was recorded, whatever the program wrote since.
func (f FileSystem) ReadDir(name string) ([]fs.DirEntry, error) {
	var live []fs.DirEntry
	infos, err := Do(f.ctx, f.read("LIST", name, nil), func(context.Context) ([]fileInfo, error) {
		var err error
		live, err = os.ReadDir(name)
		return newFileInfos(live), err
	})
	if live != nil || err != nil {
		return live, err
	}
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(info)
	}
	return entries, nil
}

// WriteFile is os.WriteFile.
func (f FileSystem) WriteFile(name string, data []byte, perm fs.FileMode) error {
	request := fileRequest{Path: name, Mode: perm, Body: FromContext(f.ctx).bodyOf(data)}
	return f.change(Op{Shape: fileShape("WRITE", name), Request: request, IdempotencyKey: name},
		func() error { return os.WriteFile(name, data, perm) },
		func(o *overlay, file ownFile) { o.write(name, data, perm, file) })
}

// MkdirAll is os.MkdirAll.
func (f FileSystem) MkdirAll(name string, perm fs.FileMode) error {
	return f.change(Op{Shape: fileShape("MKDIR", name), Request: fileRequest{Path: name, Mode: perm}, IdempotencyKey: name},
		func() error { return os.MkdirAll(name, perm) },
		func(o *overlay, file ownFile) { o.mkdir(name, perm, file) })
}

// Rename is os.Rename.
func (f FileSystem) Rename(from, to string) error {
	return f.change(Op{Shape: fileShape("RENAME", from), Request: fileRequest{Path: from, To: to}},
		func() error { return os.Rename(from, to) },
		func(o *overlay, file ownFile) { o.rename(from, to, file) })
}

// Remove is os.Remove.
func (f FileSystem) Remove(name string) error {
	return f.change(Op{Shape: fileShape("REMOVE", name), Request: fileRequest{Path: name}},
		func() error { return os.Remove(name) },
		func(o *overlay, file ownFile) { o.remove(name, file) })
}

// RemoveAll is os.RemoveAll.
func (f FileSystem) RemoveAll(name string) error {
	return f.change(Op{Shape: fileShape("REMOVE", name), Request: fileRequest{Path: name}, IdempotencyKey: name},
		func() error { return os.RemoveAll(name) },
		func(o *overlay, file ownFile) { o.remove(name, file) })
}

// change does something to files, or in a replay notes that it was done.
func (f FileSystem) change(op Op, do func() error, note func(*overlay, ownFile)) error {
	op.Boundary, op.Effect = boundaryFile, record.EffectWrite
	call := Start(f.ctx, op)
	if call == nil {
		return do()
	}
	if err := call.Err(); err != nil {
		return err
	}
	if cp := call.Recorded(); cp != nil && cp.Error != nil {
		return fault.Rebuild(cp.Error)
	}
	x := call.x
	if call.Recorded() == nil && x.mode != ModeReplay {
		if err := do(); err != nil {
			call.FinishFault(nil, refusedBySystem(err))
			return err
		}
	}
	note(&x.files, ownFile{replayed: x.mode == ModeReplay, modified: x.head.Start})
	call.Finish(nil, nil)
	return nil
}

// refusedBySystem returns an error of the operating system. Whatever it was, it says that nothing was done.
func refusedBySystem(err error) *record.Error {
	f := fault.Of(err)
	if f.Class == record.ClassUnknown {
		f.Class = record.ClassApp
	}
	return f
}

// read returns the operation that reads. What an execution reads of its own is no input of it: the record need not have it.
func (f FileSystem) read(verb, name string, mine *ownFile) Op {
	effect := record.EffectRead
	if mine != nil {
		effect = record.EffectNone
	}
	return Op{Boundary: boundaryFile, Shape: fileShape(verb, name), Effect: effect, Request: fileRequest{Path: name}}
}

// mine returns what the execution did to a file, nil when it did nothing.
func (f FileSystem) mine(name string) *ownFile {
	x := FromContext(f.ctx)
	if x == nil {
		return nil
	}
	return x.files.find(name)
}

// open opens a file, live or as it was.
func (f FileSystem) open(name string) (fs.File, error) {
	mine := f.mine(name)
	call := Start(f.ctx, f.read("READ", name, mine))
	if call == nil {
		return os.Open(name)
	}
	if err := call.Err(); err != nil {
		return nil, err
	}
	switch cp := call.Recorded(); {
	case cp == virtual || cp == nil && mine.isReplayed():
		return mine.open(name)
	case cp != nil:
		return openRecorded(cp, name, mine)
	}
	file, err := os.Open(name)
	if err != nil {
		call.Finish(nil, err)
		return nil, err
	}
	return newLiveFile(call, file), nil
}
