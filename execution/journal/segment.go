package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const segmentSuffix = ".journal"

func segmentName(number uint32) string { return fmt.Sprintf("%08d%s", number, segmentSuffix) }

// segment is one file of a writer, this process or one that died.
type segment struct {
	number uint32
	size   int64 // bytes that count; only the writer changes it
	file   file
	folder *folder

	waiting int // executions in it that wait for the server. Guarded by Journal.mu
	held    int // frames in it of executions that still run, and one more while it is needed for another reason. Likewise
}

// folder is the directory of one writer. Whoever has its lock may change it.
type folder struct {
	path     string
	lock     *os.File
	segments int // that are not removed. Guarded by Journal.mu
}

// loadSegments opens the segments of a dead writer and reads what they say. When one is of a later version the error is
// ErrNewer, and the folder is left to that version.
func (f *folder) loadSegments(fs fileSystem) ([]*segment, *history, error) {
	numbers, err := f.segmentNumbers()
	if err != nil {
		return nil, nil, err
	}
	var segments []*segment
	h := newHistory()
	for i, number := range numbers {
		s, data, err := f.loadSegment(fs, number)
		if err != nil {
			closeAll(segments)
			return nil, nil, err
		}
		segments = append(segments, s)
		if err := checkHeader(data); errors.Is(err, ErrNewer) {
			closeAll(segments)
			return nil, nil, fmt.Errorf("%s: %w", s.path(), err)
		} else if err != nil { // cut off while it was created, or damaged
			h.isDamaged = h.isDamaged || len(data) >= headerBytes
		}
		h.read(number, data, i == len(numbers)-1)
	}
	return segments, h, nil
}

func closeAll(segments []*segment) {
	for _, s := range segments {
		s.file.Close()
	}
}

func (f *folder) segmentNumbers() ([]uint32, error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	var numbers []uint32
	for _, entry := range entries {
		digits, ok := strings.CutSuffix(entry.Name(), segmentSuffix)
		number, err := strconv.ParseUint(digits, 10, 32)
		if ok && err == nil && segmentName(uint32(number)) == entry.Name() {
			numbers = append(numbers, uint32(number))
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// loadSegment opens a segment and reads all of it.
func (f *folder) loadSegment(fs fileSystem, number uint32) (*segment, []byte, error) {
	s := &segment{number: number, folder: f}
	opened, err := fs.open(s.path())
	if err != nil {
		return nil, nil, err
	}
	s.file = opened
	data, err := io.ReadAll(io.NewSectionReader(opened, 0, 1<<62))
	if err != nil {
		opened.Close()
		return nil, nil, err
	}
	s.size = int64(len(data))
	return s, data, nil
}

func (s *segment) path() string { return filepath.Join(s.folder.path, segmentName(s.number)) }

// frameAt reads a frame that was written or found sound before.
func (s *segment) frameAt(at, end int64) (parsedFrame, error) {
	data := make([]byte, end-at)
	if _, err := s.file.ReadAt(data, at); err != nil {
		return parsedFrame{}, err
	}
	f, ok := parseFrame(data, at)
	if !ok {
		return parsedFrame{}, fmt.Errorf("%s: frame at byte %d is damaged", s.path(), at)
	}
	return f, nil
}
