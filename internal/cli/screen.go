package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// A screen is stdout or stderr, which may be a terminal.
type screen struct {
	io.Writer
	terminal bool
	color    bool
	width    int
}

// newScreen finds out what w is. Colour is for terminals, and not for those of people who set NO_COLOR; see no-color.org.
func newScreen(w io.Writer) *screen {
	s := &screen{Writer: w, width: 80}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.terminal = true
	s.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		s.width = width
	}
	return s
}

func (s *screen) bold(text string) string  { return s.paint("1", text) }
func (s *screen) dim(text string) string   { return s.paint("2", text) }
func (s *screen) red(text string) string   { return s.paint("31", text) }
func (s *screen) green(text string) string { return s.paint("32", text) }

func (s *screen) yellow(text string) string { return s.paint("33", text) }

func (s *screen) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// printf writes data for a person.
func (s *screen) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(s, format, args...)
	return err
}

// printJSON writes a value as one line of JSON.
func (s *screen) printJSON(value any) error {
	encoder := json.NewEncoder(s)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// A table lines up columns. A column whose name begins with ">" is a column of numbers, which end at the same place.
type table struct {
	columns []string
	rows    [][]string
}

func newTable(columns ...string) *table { return &table{columns: columns} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the table with its heading.
func (t *table) write(s *screen) error {
	widths := make([]int, len(t.columns))
	heading := make([]string, len(t.columns))
	for i, column := range t.columns {
		heading[i] = strings.ToUpper(strings.TrimPrefix(column, ">"))
		widths[i] = utf8.RuneCountInString(heading[i])
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	if err := s.printf("%s\n", s.bold(t.line(heading, widths))); err != nil {
		return err
	}
	for _, row := range t.rows {
		if err := s.printf("%s\n", t.line(row, widths)); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) line(cells []string, widths []int) string {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if strings.HasPrefix(t.columns[i], ">") {
			line.WriteString(space + cell)
		} else {
			line.WriteString(cell + space)
		}
	}
	return strings.TrimRight(line.String(), " ")
}

// count writes a number of things as people do: 20,000.
func count[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// plural is a number of things with their name.
func plural[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// size writes a number of bytes: 1.8 MiB.
func size[N int | int64 | uint64](n N) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for ; value >= 1000 && unit < 4; unit++ {
		value /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}

// timeFormat is how times are written, always in UTC and to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func milli(ms int64) string { return time.UnixMilli(ms).UTC().Format(timeFormat) }
