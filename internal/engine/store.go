package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strconv"
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

// pebbleFormat is the newest format of Pebble's files that this binary writes. Raising it raises storeVersion too: an older
// binary would not open the store, and should say why.
const pebbleFormat = pebble.FormatValueSeparation

func (e *Engine) open(dir string) error {
	fs := e.options.FS
	dir = fs.PathDir(fs.PathJoin(dir, "file")) // as the directory of its files will be spelled
	if e.options.ReadOnly {
		if _, err := fs.Stat(dir); err != nil {
			return err
		}
	} else if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	switch found, err := checkVersion(fs, dir); {
	case err != nil:
		return err
	case !found && e.options.ReadOnly: // Pebble would put its lock there before it finds out
		return fmt.Errorf("%w: no store in it", os.ErrNotExist)
	}
	e.disk = newDisk(fs, dir, e.failure)
	e.disk.readOnly = e.options.ReadOnly
	if err := e.openPebble(dir); err != nil || e.options.ReadOnly {
		return err
	}
	err := writeVersion(e.disk, dir)
	if err = errors.Join(err, e.failure.get()); err != nil {
		return errors.Join(err, e.closePebble())
	}
	return nil
}

func (e *Engine) openPebble(dir string) error {
	var db *pebble.DB
	err := e.disk.unlessWaiting(func() (err error) {
		// Pebble takes the memory of its tables out of the cache, which would leave nothing for blocks.
		cache := pebble.NewCache(e.options.CacheBytes + 2*int64(e.options.MemTableBytes))
		defer cache.Unref()
		db, err = pebble.Open(dir, e.pebbleOptions(e.disk, cache))
		return err
	})
	if err != nil {
		return err
	}
	e.db = db
	return nil
}

// closePebble closes Pebble. After a disk failure it succeeds too, for there is nothing to be done about it.
func (e *Engine) closePebble() error {
	if err := e.disk.unlessWaiting(e.db.Close); !errors.Is(err, ErrReadOnly) {
		return err
	}
	return nil
}

func (e *Engine) pebbleOptions(fs vfs.FS, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS:                    fs,
		Cache:                 cache,
		ReadOnly:              e.options.ReadOnly,
		FormatMajorVersion:    pebbleFormat,
		Logger:                &pebbleLogger{e.options.Logger},
		MemTableSize:          e.options.MemTableBytes,
		L0CompactionThreshold: 4,
		MaxOpenFiles:          1024,
		// Pebble would hold up writers in a way that cannot be ended when its disk has stopped: see Engine.behind.
		MemTableStopWritesThreshold: math.MaxInt32,
		L0StopWritesThreshold:       math.MaxInt32,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
	}
	o.EventListener = &pebble.EventListener{
		// Whoever reads the damage gets it as an error. The default would end the process.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.options.Logger.Error("pebble: damaged file", "detail", info.String())
		},
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

const (
	// maxMemTables and maxL0 are how far the store may be behind with flushing and compacting before it takes a break from
	// new transactions: memory in multiples of Options.MemTableBytes, and tables that a read may have to look into.
	maxMemTables = 4
	maxL0        = 24
)

// behind reports whether the store must catch up before it should take more.
func (e *Engine) behind() bool {
	m := e.db.Metrics()
	return m.MemTable.Size >= maxMemTables*e.options.MemTableBytes || m.Levels[0].Sublevels >= maxL0
}

// checkVersion refuses a store that this binary cannot read, and reports whether there is one in the directory.
func checkVersion(fs vfs.FS, dir string) (found bool, err error) {
	value, err := atomicfs.ReadMarker(fs, dir, versionMarker)
	if err != nil || value == "" {
		return false, err
	}
	version, err := strconv.Atoi(value)
	if err != nil || version < 1 {
		return true, fmt.Errorf("%w: store version %q", ErrCorrupt, value)
	}
	if version > storeVersion {
		return true, fmt.Errorf("%w: store version %d, this binary knows up to %d", ErrNewerStore, version, storeVersion)
	}
	return true, nil
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

// pebbleLogger passes on what Pebble says.
type pebbleLogger struct{ *slog.Logger }

func (l *pebbleLogger) Infof(format string, args ...any) {
	if l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called by Pebble for broken invariants. Failures of the disk, for which it would be called too, never reach
// Pebble: see disk.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	panic("pebble: " + fmt.Sprintf(format, args...))
}
