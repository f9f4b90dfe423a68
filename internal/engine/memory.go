package engine

import "github.com/cockroachdb/pebble/v2/vfs"

// OpenMemory opens a new store that lives in memory and is gone when it is closed. Options.FS is not used.
func OpenMemory(options Options) (*Engine, error) {
	options.FS = vfs.NewMem()
	return Open("store", options)
}
