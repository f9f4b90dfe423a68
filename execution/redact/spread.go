package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// minKnownBytes is how long a value must be to be looked for where no rule hides it, and minWordBytes the same for a value that
// could be a word of a language.
const (
	minKnownBytes = 6
	minWordBytes  = 12
)

// A needle is a text that is replaced wherever it occurs.
type needle struct {
	text, stand string
	number      bool // no digits may stand around it
}

// A finder finds many texts at once: it looks at each place for the first four bytes of one.
type finder struct {
	first   [1 << 10]uint64 // bits of what the first four bytes of needles hash to
	needles map[uint32][]needle
	always  bool // there is a needle that cannot be found so
}

func newFinder() *finder { return &finder{needles: make(map[uint32][]needle)} }

func slot(four uint32) (word, bit uint32) {
	h := four * 0x9e3779b1 >> 16
	return h >> 6, h & 63
}

func (f *finder) add(n needle) {
	if len(n.text) < 4 {
		f.always = true
		return
	}
	four := binary.LittleEndian.Uint32([]byte(n.text))
	word, bit := slot(four)
	f.first[word] |= 1 << bit
	f.needles[four] = append(f.needles[four], n)
}

// find returns the longest needle at the first place from start on where there is one.
func (f *finder) find(text []byte, start int) (at int, found *needle) {
	for i := start; i+4 <= len(text); i++ {
		four := binary.LittleEndian.Uint32(text[i:])
		if word, bit := slot(four); f.first[word]&(1<<bit) == 0 {
			continue
		}
		for j, n := range f.needles[four] {
			if !bytes.HasPrefix(text[i:], []byte(n.text)) || n.number && digitsAround(text, i, i+len(n.text)) {
				continue
			}
			if found == nil || len(n.text) > len(found.text) {
				found = &f.needles[four][j]
			}
		}
		if found != nil {
			return i, found
		}
	}
	return 0, nil
}

func digitsAround(text []byte, start, end int) bool {
	return start > 0 && isDigit(text[start-1]) && !begins(text, start) || end < len(text) && isDigit(text[end])
}

// buildFinders makes the finders for what the session knows: one for texts as they are, and one that looks in raw JSON for
// the longest part of each text that is written the same everywhere.
func (s *Session) buildFinders() {
	s.needles, s.anchors = newFinder(), newFinder()
	for value, stand := range s.known {
		if !isDistinct(value) {
			continue
		}
		for _, n := range variants(value, stand) {
			s.needles.add(n)
			s.anchors.add(needle{text: anchor(n.text)})
		}
	}
	for _, all := range s.needles.needles {
		slices.SortFunc(all, func(a, b needle) int { return strings.Compare(a.text, b.text) }) // not the order of a map
	}
}

// isDistinct says that a value is no word: those would be found everywhere, in names as well.
func isDistinct(value string) bool {
	return len(value) >= minKnownBytes && (len(value) >= minWordBytes || looksRandom([]byte(value)))
}

// anchor returns the longest part of a text that JSON and URLs write as it is.
func anchor(text string) string {
	longest := ""
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r > 127 || !word.has(byte(r)) }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// variants returns a value as it is written in texts of all kinds: as it is, in JSON, in URLs, in base64 at any place of what is
// encoded, and in hexadecimal digits. Stand-ins are written in the same way where that is possible.
func variants(value, stand string) []needle {
	all := []needle{{text: value, stand: stand, number: isAll([]byte(value), digit)}}
	add := func(text, stand string) {
		if len(text) >= minKnownBytes && !slices.ContainsFunc(all, func(n needle) bool { return n.text == text }) {
			all = append(all, needle{text: text, stand: stand})
		}
	}
	for _, escapeHTML := range []bool{false, true} {
		inValue, inStand := inJSON(value, escapeHTML), inJSON(stand, escapeHTML)
		add(inValue, inStand)
		add(inJSON(inValue, escapeHTML), inJSON(inStand, escapeHTML)) // a document in a document
	}
	add(url.QueryEscape(value), url.QueryEscape(stand))
	add(url.PathEscape(value), url.PathEscape(stand))
	if len(value) < 8 {
		return all
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		add(encoding.EncodeToString([]byte(value)), encoding.EncodeToString([]byte(stand)))
		for shift := range 3 {
			add(base64Core(encoding, value, shift), stand)
		}
	}
	add(hex.EncodeToString([]byte(value)), hex.EncodeToString([]byte(stand)))
	return all
}

func inJSON(text string, escapeHTML bool) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(escapeHTML)
	if encoder.Encode(text) != nil {
		return text
	}
	return strings.TrimSuffix(out.String(), "\"\n")[1:]
}

// base64Core returns the characters that encode a value alone when so many bytes come before it in a group of three.
func base64Core(encoding *base64.Encoding, value string, shift int) string {
	encoded := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte("\x00\x00\x00"[:shift] + value))
	whole := (shift + len(value)) / 3 * 4 // characters of groups that the value fills to their end
	return encoded[(shift*8+5)/6 : whole]
}

// mayKnow says that a document may have something in it that the session knows. It is right when it says no.
func (s *Session) mayKnow(data []byte) bool {
	if s.anchors == nil {
		s.buildFinders()
	}
	if s.anchors.always {
		return true
	}
	_, found := s.anchors.find(data, 0)
	return found != nil || bytes.Contains(data, []byte(`"base64"`)) || bytes.Contains(data, []byte(`\\u00`))
}

// replaceKnown replaces what the session knows in a text. It returns text when there is nothing.
func (s *Session) replaceKnown(text []byte) []byte {
	if s.needles == nil {
		s.buildFinders()
	}
	var out []byte
	copied := 0
	for i := 0; ; {
		at, found := s.needles.find(text, i)
		if found == nil {
			break
		}
		s.count++
		if s.observe != nil {
			s.observe(Finding{Place: s.place(), Rule: "known from elsewhere in the execution", By: "value", StandIn: found.stand})
		}
		out = append(append(out, text[copied:at]...), found.stand...)
		copied = at + len(found.text)
		i = copied
	}
	if copied == 0 {
		return text
	}
	return append(out, text[copied:]...)
}

// knownNumber returns what takes the place of a number of JSON that the session knows.
func (s *Session) knownNumber(number []byte) []byte {
	stand, ok := s.known[string(number)]
	switch {
	case !ok || !isDistinct(string(number)):
		return number
	case isStandInNumber([]byte(stand)):
		return []byte(stand)
	}
	return s.r.standDigits(number)
}
