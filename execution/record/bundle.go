package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrNotBundle is returned when a file does not begin as bundles do.
var ErrNotBundle = errors.New("not a recording of an execution (.fluxrec)")

// A Bundle is what a replay needs: an execution, and that of the start of its process.
type Bundle struct {
	Execution *Execution
	Boot      *Execution // nil when it was not recorded
}

// The file of a bundle, of this version:
//
//	0       8         9
//	┌───────┬─────────┬──────┬─────────┬──────────────┬───┬──────────┐
//	│ magic │ version │ what │ length  │ section      │ … │ checksum │
//	│ 8     │ 1       │ 1    │ uvarint │ length bytes │   │ 4        │
//	└───────┴─────────┴──────┴─────────┴──────────────┴───┴──────────┘
//
// The checksum is the CRC-32C, little-endian, of all before it. See docs/format/recording.md.
const (
	bundleVersion = 1
	bundleMagic   = "\x89fluxrec" // the first byte shows that it is no text

	sectionExecution = 'E'
	sectionBoot      = 'B'

	bundleHeaderBytes = len(bundleMagic) + 1
)

// maxBundleBytes is more than two executions can have, so that reading a file that is none ends.
const maxBundleBytes = 2*MaxBytes + 1<<20

// WriteBundle writes the bundle as a file. Equal bundles make equal files.
func WriteBundle(w io.Writer, b *Bundle) error {
	data := append([]byte(bundleMagic), bundleVersion)
	data = appendSection(data, sectionExecution, b.Execution)
	if b.Boot != nil {
		data = appendSection(data, sectionBoot, b.Boot)
	}
	_, err := w.Write(appendChecksum(data, 0))
	return err
}

func appendSection(dst []byte, what byte, x *Execution) []byte {
	section := Append(nil, x)
	dst = append(dst, what)
	dst = binary.AppendUvarint(dst, uint64(len(section)))
	return append(dst, section...)
}

// ReadBundle reads what [WriteBundle] has written, to the end of r. It returns [ErrNotBundle], [ErrNewer] or [ErrCorrupt], or
// an error of r.
func ReadBundle(r io.Reader) (*Bundle, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBundleBytes+1))
	if err != nil {
		return nil, err
	}
	sections, err := checkBundle(data)
	if err != nil {
		return nil, err
	}
	b := new(Bundle)
	for len(sections) > 0 {
		what := sections[0]
		length, size := binary.Uvarint(sections[1:])
		if size <= 0 || length > uint64(len(sections)-1-size) {
			return nil, fmt.Errorf("%w: a section ends after the file", ErrCorrupt)
		}
		section := sections[1+size:][:length]
		sections = sections[1+size:][length:]
		if err := b.read(what, section); err != nil {
			return nil, fmt.Errorf("section %q: %w", what, err)
		}
	}
	if b.Execution == nil {
		return nil, fmt.Errorf("%w: a bundle without an execution", ErrCorrupt)
	}
	return b, nil
}

// checkBundle returns the sections of a file whose header and checksum are sound.
func checkBundle(data []byte) ([]byte, error) {
	switch {
	case !bytes.HasPrefix(data, []byte(bundleMagic)):
		return nil, ErrNotBundle
	case len(data) > maxBundleBytes:
		return nil, fmt.Errorf("%w: a bundle of more than %d bytes", ErrCorrupt, maxBundleBytes)
	case len(data) < bundleHeaderBytes+checksumBytes:
		return nil, fmt.Errorf("%w: a bundle of %d bytes", ErrCorrupt, len(data))
	case data[len(bundleMagic)] > bundleVersion:
		return nil, fmt.Errorf("%w: bundle of version %d, this program reads %d", ErrNewer, data[len(bundleMagic)], bundleVersion)
	}
	data, err := withoutChecksum(data)
	if err != nil {
		return nil, err
	}
	return data[bundleHeaderBytes:], nil
}

// read takes in a section. Those that came with a later version are left out.
func (b *Bundle) read(what byte, section []byte) (err error) {
	switch what {
	case sectionExecution:
		b.Execution, err = Decode(section)
	case sectionBoot:
		b.Boot, err = Decode(section)
	}
	return err
}
