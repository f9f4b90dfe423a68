package engine

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// storeVersion is the newest format of a store that this binary reads and writes. It only ever grows; every change of a
// format under docs/format that an older binary would misread adds one.
const storeVersion = 1

// versionMarker names the file in the store's directory whose name carries the store version.
const versionMarker = "flux-store-version"

func (e *Engine) open(dir string) error {
	fs := e.options.FS
	if e.options.ReadOnly {
		if _, err := fs.Stat(dir); err != nil {
			return err
		}
	} else if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := checkVersion(fs, dir); err != nil {
		return err
	}
	cache := pebble.NewCache(e.options.CacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(dir, e.pebbleOptions(cache))
	if err != nil {
		return err
	}
	e.db = db
	if e.options.ReadOnly {
		return nil
	}
	if err := writeVersion(fs, dir); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

func (e *Engine) pebbleOptions(cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS:                          e.options.FS,
		Cache:                       cache,
		ReadOnly:                    e.options.ReadOnly,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      &pebbleLogger{engine: e},
		MemTableSize:                e.options.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                1024,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// Blocks of messages come compressed. What else there is, is small.
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           1 << 10,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     15 * time.Minute,
			TargetGarbageRatio:    0.3,
		}
	}
	return o
}

// closeDB closes Pebble. After a disk failure Pebble cannot close cleanly; its files are then left for the next Open.
func (e *Engine) closeDB() (err error) {
	if e.Err() != nil {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("close store: %v", r)
			}
		}()
	}
	return e.db.Close()
}

// checkVersion refuses a store that this binary cannot read.
func checkVersion(fs vfs.FS, dir string) error {
	value, err := atomicfs.ReadMarker(fs, dir, versionMarker)
	if err != nil {
		return err
	}
	if value == "" {
		return nil // an empty directory
	}
	version, err := strconv.Atoi(value)
	if err != nil || version < 1 {
		return fmt.Errorf("%w: store version %q", ErrCorrupt, value)
	}
	if version > storeVersion {
		return fmt.Errorf("%w: store version %d, this binary knows up to %d", ErrNewerStore, version, storeVersion)
	}
	return nil
}

// writeVersion raises the version of the store in dir to the one that this binary writes.
func writeVersion(fs vfs.FS, dir string) error {
	marker, value, err := atomicfs.LocateMarker(fs, dir, versionMarker)
	if err != nil {
		return err
	}
	if value != strconv.Itoa(storeVersion) {
		err = marker.Move(strconv.Itoa(storeVersion))
	}
	return errors.Join(err, marker.Close())
}

// pebbleLogger passes on what Pebble says, and makes an engine failure of what Pebble would end the process for.
type pebbleLogger struct{ engine *Engine }

func (l *pebbleLogger) Infof(format string, args ...any) {
	l.engine.options.Logger.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.engine.options.Logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called by Pebble when a write to the log or the manifest failed, and for broken invariants. The former must
// not end the process: reads go on. The latter must.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if strings.Contains(format, "fatal commit error") || strings.HasPrefix(format, "MANIFEST ") {
		l.engine.fail(errors.New(text))
		return
	}
	panic("pebble: " + text)
}
