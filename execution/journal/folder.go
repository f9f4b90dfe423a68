package journal

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const lockName = "lock"

// claim makes a folder for a new writer within dir, and takes over those of writers that are dead. It does so under a lock of
// dir, so that of two processes one comes first.
func claim(dir string, writer [16]byte) (own *folder, dead []*folder, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	all, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer all.Close()
	if _, err := lockFile(all, true); err != nil {
		return nil, nil, err
	}
	dead, err = claimDead(dir)
	if err == nil {
		own, err = createFolder(filepath.Join(dir, hex.EncodeToString(writer[:])))
	}
	if err != nil {
		for _, f := range dead {
			f.lock.Close()
		}
		return nil, nil, err
	}
	return own, dead, nil
}

func createFolder(path string) (*folder, error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := lockFile(lock, false); err != nil {
		lock.Close()
		return nil, err
	}
	return &folder{path: path, lock: lock}, nil
}

// claimDead locks the folders in dir that nobody has locked.
func claimDead(dir string) ([]*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var dead []*folder
	for _, entry := range entries {
		if name, err := hex.DecodeString(entry.Name()); err != nil || len(name) != 16 || !entry.IsDir() {
			continue
		}
		if f := tryFolder(filepath.Join(dir, entry.Name())); f != nil {
			dead = append(dead, f)
		}
	}
	return dead, nil
}

// tryFolder returns the folder when its writer is dead, else nil.
func tryFolder(path string) *folder {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(path) // it was created or removed by halves; what is not empty stays
		return nil
	}
	if err != nil {
		return nil
	}
	if ok, err := lockFile(lock, false); !ok || err != nil {
		lock.Close()
		return nil
	}
	return &folder{path: path, lock: lock}
}

// remove removes the folder, which has no segments any more. Whoever gets the lock now finds nothing in it.
func (f *folder) remove() {
	f.lock.Close() // first, because some systems do not remove open files
	_ = os.Remove(f.lock.Name())
	_ = os.Remove(f.path)
}
