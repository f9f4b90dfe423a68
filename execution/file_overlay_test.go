package execution

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// TestOverlayIsAsTheDisk does random things to files on a disk and in an overlay: what the overlay knows of a file must be so.
func TestOverlayIsAsTheDisk(t *testing.T) {
	t.Parallel()
	paths := []string{"a", "b", "a/a", "a/b", "b/a", "a/a/a", "b/a/b", "ab"}
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "flux-overlay-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		var o overlay
		path := rapid.Map(rapid.SampledFrom(paths), func(name string) string { return filepath.Join(root, name) })
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				name, data := path.Draw(t, "name"), []byte(rapid.StringMatching(`[xy]?`).Draw(t, "data"))
				if os.WriteFile(name, data, 0o600) == nil {
					o.write(name, data, 0o600, ownFile{replayed: true})
				}
			},
			"mkdir": func(t *rapid.T) {
				if name := path.Draw(t, "name"); os.MkdirAll(name, 0o700) == nil {
					o.mkdir(name, 0o700, ownFile{replayed: true})
				}
			},
			"rename": func(t *rapid.T) {
				from, to := path.Draw(t, "from"), path.Draw(t, "to")
				if os.Rename(from, to) == nil {
					o.rename(from, to, ownFile{replayed: true})
				}
			},
			"remove": func(t *rapid.T) {
				if name := path.Draw(t, "name"); os.Remove(name) == nil {
					o.remove(name, ownFile{replayed: true})
				}
			},
			"remove all": func(t *rapid.T) {
				if name := path.Draw(t, "name"); os.RemoveAll(name) == nil {
					o.remove(name, ownFile{replayed: true})
				}
			},
			"": func(t *rapid.T) {
				for _, name := range paths {
					compareFile(t, &o, filepath.Join(root, name))
				}
			},
		})
	})
}

func compareFile(t *rapid.T, o *overlay, name string) {
	info, err := os.Stat(name)
	own := o.find(name)
	if own == nil {
		if err == nil && !info.IsDir() {
			t.Fatalf("%s was written, and the overlay does not know", name)
		}
		return
	}
	if own.gone != (err != nil) {
		t.Fatalf("%s: gone %t, on the disk %v", name, own.gone, err)
	}
	if own.gone {
		return
	}
	file, openErr := own.open(name)
	if openErr != nil {
		t.Fatal(openErr)
	}
	again, _ := file.Stat()
	if again.IsDir() != info.IsDir() || again.Mode() != info.Mode() || again.Name() != info.Name() {
		t.Fatalf("%s: %v, on the disk %v", name, again.Mode(), info.Mode())
	}
	data, readErr := io.ReadAll(file)
	if disk, diskErr := os.ReadFile(name); !bytes.Equal(data, disk) || (readErr == nil) != (diskErr == nil) {
		t.Fatalf("%s: %q, on the disk %q", name, data, disk)
	}
}
