package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func bundleFile(t testing.TB, b *Bundle) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := WriteBundle(&file, b); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestBundleReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, want := range []*Bundle{{Execution: failedPayment()}, {failedPayment(), payment()}, {Execution: &Execution{}}} {
		file := bundleFile(t, want)
		got, err := ReadBundle(iotest.OneByteReader(bytes.NewReader(file)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %s, %v\nwant %s", show(got), err, show(want))
		}
		if !bytes.Equal(bundleFile(t, got), file) {
			t.Error("a bundle that was read makes another file")
		}
	}
}

func TestBundleNoticesEveryDamagedByte(t *testing.T) {
	t.Parallel()
	file := bundleFile(t, &Bundle{failedPayment(), payment()})
	for at := range file {
		damaged := bytes.Clone(file)
		damaged[at] ^= 0x20
		if _, err := ReadBundle(bytes.NewReader(damaged)); err == nil {
			t.Errorf("no error with byte %d changed", at)
		}
		want := ErrCorrupt
		if at < len(bundleMagic) {
			want = ErrNotBundle
		}
		if _, err := ReadBundle(bytes.NewReader(file[:at])); !errors.Is(err, want) {
			t.Errorf("cut to %d bytes: got %v, want %v", at, err, want)
		}
	}
}

func TestBundleTellsForeignNewerAndDamaged(t *testing.T) {
	t.Parallel()
	sound := bundleFile(t, &Bundle{Execution: payment()})
	newer := bytes.Clone(sound)
	newer[len(bundleMagic)]++
	header := append([]byte(bundleMagic), bundleVersion)
	section := Append(nil, payment())
	tests := map[string]struct {
		file []byte
		want error
	}{
		"empty":                {nil, ErrNotBundle},
		"text":                 {[]byte(`{"id":"1"}`), ErrNotBundle},
		"newer":                {newer, ErrNewer},
		"newer section":        {sum(header, append([]byte{'E', 8}, sum([]byte{formatVersion + 1, whatExecution, 0, 0})...)...), ErrNewer},
		"longer":               {append(bytes.Clone(sound), 0), ErrCorrupt},
		"no execution":         {sum(header), ErrCorrupt},
		"section without end":  {sum(header, 'E', 100, 1, 2), ErrCorrupt},
		"section of no length": {sum(header, 'E'), ErrCorrupt},
		"damaged section":      {sum(header, 'E', 4, 1, whatExecution, 9, 9), ErrCorrupt},
	}
	for name, test := range tests {
		if _, err := ReadBundle(bytes.NewReader(test.file)); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	later := sum(append(binary.AppendUvarint(append(header, 'E'), uint64(len(section))), section...), 'Z', 2, 1, 2)
	got, err := ReadBundle(bytes.NewReader(later))
	if err != nil || !reflect.DeepEqual(got.Execution, payment()) {
		t.Errorf("with a section of a later version: %v", err)
	}
}

// sum returns a file with a sound checksum.
func sum(header []byte, rest ...byte) []byte {
	return appendChecksum(append(bytes.Clone(header), rest...), 0)
}

func TestBundleReturnsErrorsOfItsReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	if _, err := ReadBundle(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if _, err := ReadBundle(strings.NewReader(bundleMagic)); errors.Is(err, ErrNotBundle) {
		t.Errorf("got %v for a file that is one of ours", err)
	}
}

func FuzzReadBundle(f *testing.F) {
	f.Add(bundleFile(f, &Bundle{Execution: &Execution{}}))
	f.Add(bundleFile(f, &Bundle{payment(), failedPayment()}))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := ReadBundle(bytes.NewReader(file))
		if err != nil {
			return
		}
		again, err := ReadBundle(bytes.NewReader(bundleFile(t, b)))
		if err != nil || show(again) != show(b) {
			t.Fatalf("got  %s, %v\nwant %s", show(again), err, show(b))
		}
	})
}

var rewrite = flag.Bool("rewrite", false, "write the files in testdata anew")

// A file of version 1 is readable for ever.
func TestBundleOfThePastIsReadable(t *testing.T) {
	t.Parallel()
	const name = "testdata/version1.fluxrec"
	want := &Bundle{failedPayment(), payment()}
	if *rewrite {
		if err := os.WriteFile(name, bundleFile(t, want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadBundle(bytes.NewReader(file))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %s, %v\nwant %s", show(got), err, show(want))
	}
}
