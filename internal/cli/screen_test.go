package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestTableLinesUpColumns(t *testing.T) {
	t.Parallel()
	rows := newTable("airport", ">flights", "city")
	rows.add("DFW", "1,103", "Dallas")
	rows.add("Zürich", "7", "")
	for _, color := range []bool{false, true} {
		var out bytes.Buffer
		if err := rows.write(&screen{Writer: &out, color: color}); err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(out.String())
		want := "AIRPORT  FLIGHTS  CITY\nDFW        1,103  Dallas\nZürich         7\n"
		if plain != want {
			t.Errorf("color %v:\n%s\nwant\n%s", color, plain, want)
		}
		if strings.Contains(out.String(), "\x1b") != color {
			t.Errorf("color %v: %q", color, out.String())
		}
	}
}

func TestAmountsAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		count(0):                 "0",
		count(-1234):             "-1,234",
		count(999):               "999",
		count(uint64(1 << 20)):   "1,048,576",
		plural(1, "flight"):      "1 flight",
		plural(2000, "flight"):   "2,000 flights",
		size(1023):               "1023 B",
		size(1024):               "1.0 KiB",
		size(1000 << 10):         "1.0 MiB",
		size(int64(5) << 40):     "5.0 TiB",
		retentionText(-1):        "ever",
		retentionText(86400):     "1 day",
		retentionText(90):        "1m30s",
		segments{0, 64}.String(): "0-63",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestByteSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1": 1, "512B": 512, "1KiB": 1 << 10, "64 MiB": 64 << 20, "2GB": 2e9} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%s: %d, %v, want %d", text, b, err, want)
		}
		var again byteSize
		if err := again.Set(b.String()); err != nil || again != b {
			t.Errorf("%s is written %s, which is %d", text, b.String(), again)
		}
	}
	for _, text := range []string{"", "0", "-1", "MiB", "1.5MiB", "9999999999GiB", "64mib"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q: %d, want an error", text, b)
		}
	}
}

func TestProgressIsForTerminals(t *testing.T) {
	t.Parallel()
	var file, terminal bytes.Buffer
	for _, s := range []*screen{{Writer: &file}, {Writer: &terminal, terminal: true}} {
		bar := newProgress(s, "Reading", 200, count[int64])
		bar.set(100)
		bar.end()
	}
	if file.Len() > 0 {
		t.Errorf("a file gets %q", file.String())
	}
	drawn := terminal.String()
	if !strings.Contains(drawn, "Reading ███████████████░░░░░░░░░░░░░░░  50%  100 of 200") || !strings.HasSuffix(drawn, "\r\x1b[K") {
		t.Errorf("a terminal gets %q", drawn)
	}
}

func TestWrapKeepsWordsWhole(t *testing.T) {
	t.Parallel()
	if got, want := wrap("one two  three\nfour averylongword x", 9), "one two\nthree\nfour\naverylongword\nx"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
