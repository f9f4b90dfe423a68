package execution

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// A fileInfo is what is known of a file, as it is recorded. It is an fs.FileInfo without what only the system knows.
type fileInfo struct {
	FileName string      `json:"name"`
	Bytes    int64       `json:"size"`
	FileMode fs.FileMode `json:"mode"`
	Modified time.Time   `json:"modified"`
}

func newFileInfo(of fs.FileInfo) fileInfo {
	return fileInfo{of.Name(), of.Size(), of.Mode(), of.ModTime()}
}

// newFileInfos returns what is known of the files of a directory. One that is gone by now has only a name and a type.
func newFileInfos(entries []fs.DirEntry) []fileInfo {
	out := make([]fileInfo, len(entries))
	for i, entry := range entries {
		out[i] = fileInfo{FileName: entry.Name(), FileMode: entry.Type()}
		if info, err := entry.Info(); err == nil {
			out[i] = newFileInfo(info)
		}
	}
	return out
}

// isZero says that it is not known.
func (i fileInfo) isZero() bool { return i.FileName == "" }

// Name implements fs.FileInfo.
func (i fileInfo) Name() string { return i.FileName }

// Size implements fs.FileInfo.
func (i fileInfo) Size() int64 { return i.Bytes }

// Mode implements fs.FileInfo.
func (i fileInfo) Mode() fs.FileMode { return i.FileMode }

// ModTime implements fs.FileInfo.
func (i fileInfo) ModTime() time.Time { return i.Modified }

// IsDir implements fs.FileInfo.
func (i fileInfo) IsDir() bool { return i.FileMode.IsDir() }

// Sys implements fs.FileInfo. It returns nil.
func (i fileInfo) Sys() any { return nil }

// fileContent is what was read of a file.
type fileContent struct {
	Info   fileInfo    `json:"info,omitzero"`
	Body   record.Body `json:"body"`
	Unread bool        `json:"unread,omitempty"` // it was not read to its end
}

// bodyOf returns what is recorded of data, which may change later. It works on nil.
func (x *Execution) bodyOf(data []byte) record.Body {
	if x == nil {
		return record.Body{}
	}
	var c capture
	c.begin(x)
	_, _ = c.Write(data)
	body, _ := c.result()
	return body
}

// A liveFile is a file that is read for real. It marshals as the fileContent it is at that moment.
type liveFile struct {
	file    *os.File
	call    *Call
	capture capture

	mu   sync.Mutex
	info fileInfo
	over bool // the end was reached
}

func newLiveFile(call *Call, file *os.File) *liveFile {
	l := &liveFile{file: file, call: call}
	l.capture.begin(call.x)
	if info, err := file.Stat(); err == nil {
		l.info = newFileInfo(info)
	}
	call.Answer(l)
	return l
}

// MarshalJSON implements json.Marshaler.
func (l *liveFile) MarshalJSON() ([]byte, error) {
	body, _ := l.capture.result()
	l.mu.Lock()
	defer l.mu.Unlock()
	return marshal(fileContent{l.info, body, !l.over}), nil
}

// Stat implements fs.File.
func (l *liveFile) Stat() (fs.FileInfo, error) { return l.file.Stat() }

// Read implements fs.File.
func (l *liveFile) Read(p []byte) (int, error) {
	n, err := l.file.Read(p)
	_, _ = l.capture.Write(p[:n])
	switch {
	case err == io.EOF:
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
		l.call.Finish(l, nil)
	case err != nil:
		l.call.Finish(l, err)
	}
	return n, err
}

// Close implements fs.File.
func (l *liveFile) Close() error {
	l.call.Finish(l, nil)
	return l.file.Close()
}

// A keptFile reads as a file that was recorded, or written in a replay.
type keptFile struct {
	info fileInfo
	rest *bytes.Reader
	end  error // instead of io.EOF
}

// Stat implements fs.File.
func (k *keptFile) Stat() (fs.FileInfo, error) { return k.info, nil }

// Read implements fs.File.
func (k *keptFile) Read(p []byte) (int, error) {
	n, err := k.rest.Read(p)
	if err == io.EOF && k.end != nil {
		err = k.end
	}
	return n, err
}

// Close implements fs.File.
func (k *keptFile) Close() error { return nil }

// openRecorded opens what the record has of a file.
func openRecorded(cp *record.Checkpoint, name string, mine *ownFile) (fs.File, error) {
	if cp.Error != nil && len(cp.Response.Data) == 0 {
		return nil, fault.Rebuild(cp.Error)
	}
	var content fileContent
	if err := json.Unmarshal(cp.Response.Data, &content); err != nil {
		return nil, fmt.Errorf("%w: the record of op %d has no content of a file: %w", ErrDiverged, cp.Number, err)
	}
	k := &keptFile{info: content.Info}
	data := content.Body.Data
	switch {
	case cp.Error != nil:
		k.end = fault.Rebuild(cp.Error)
	case content.Body.Truncated:
		if whole, ok := sameContent(content.Body, name, mine); ok {
			data = whole
		} else {
			k.end = fmt.Errorf("%w: the record of op %d has %d of the %d bytes of %s", ErrDiverged, cp.Number, len(data), content.Body.Bytes, name)
		}
	case content.Unread:
		k.end = fmt.Errorf("%w: the rest of %s was not read when op %d was recorded", ErrDiverged, name, cp.Number)
	}
	k.rest = bytes.NewReader(data)
	return k, nil
}

// sameContent finds what a record has only the hash of: what the program wrote itself, or the file on this machine.
func sameContent(body record.Body, name string, mine *ownFile) ([]byte, bool) {
	isSame := func(data []byte) bool { return int64(len(data)) == body.Bytes && sha256.Sum256(data) == body.Hash }
	if mine.isReplayed() && isSame(mine.data) {
		return mine.data, true
	}
	if info, err := os.Stat(name); err != nil || info.Size() != body.Bytes {
		return nil, false
	}
	data, err := os.ReadFile(name)
	return data, err == nil && isSame(data)
}
