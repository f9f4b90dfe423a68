package recording

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

const (
	// maxWords is how many words of a record can be found.
	maxWords = 200
	// maxWordRunes is where words are cut off.
	maxWordRunes = 32
	// minWordRunes is the length of the shortest words that are found.
	minWordRunes = 2
	// maxTextBytes is how much of each text is looked at, and maxPayloadBytes of each payload.
	maxTextBytes    = 4 << 10
	maxPayloadBytes = 64 << 10
)

// wordList collects words, each once, until there are maxWords.
type wordList struct {
	all  []string
	seen map[string]struct{}
	cut  bool // something was left out
}

// words returns the words by which a record can be found: of its error, of method, route and path, of operations that failed,
// of log lines, and of values in its input and output, in this order. They are complete when nothing was left out but headers.
func words(x *record.Execution) (all []string, complete bool) {
	w := &wordList{seen: make(map[string]struct{})}
	if x.Error != nil {
		w.addText(x.Error.Message)
		w.addText(x.Error.Code)
	}
	w.addText(x.Trigger.Method)
	w.addText(x.Trigger.Path)
	w.addText(x.Trigger.Route)
	for i := range x.Checkpoints {
		if c := &x.Checkpoints[i]; c.Error != nil {
			w.addText(c.Error.Message)
			w.addText(c.Shape)
		}
	}
	for i := range x.Logs {
		w.addText(x.Logs[i].Message)
	}
	w.addPayload(x.Input)
	w.addPayload(x.Output)
	return w.all, !w.cut
}

func (w *wordList) full() bool { return len(w.all) >= maxWords }

// addText adds the words of a text.
func (w *wordList) addText(text string) {
	w.cut = w.cut || len(text) > maxTextBytes
	for word := range splitWords(text) {
		if _, ok := w.seen[word]; ok {
			continue
		}
		if w.full() {
			w.cut = true
			return
		}
		w.seen[word] = struct{}{}
		w.all = append(w.all, word)
	}
}

// splitWords yields the words of a text: letters and digits without anything between them, in lower case.
func splitWords(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		text = text[:min(len(text), maxTextBytes)]
		fields := strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError })
		for field := range fields {
			if word := foldWord(field); utf8.RuneCountInString(word) >= minWordRunes && !yield(word) {
				return
			}
		}
	}
}

func foldWord(word string) string {
	runes := 0
	for i := range word {
		if runes == maxWordRunes {
			word = word[:i]
			break
		}
		runes++
	}
	return strings.ToLower(word)
}

// addPayload adds the words of the values in a payload.
func (w *wordList) addPayload(p record.Payload) {
	if len(p.Data) > maxPayloadBytes || len(p.Data) > 0 && w.full() {
		w.cut = true
		return
	}
	if value, ok := decodeJSON(p.Data); ok {
		w.addValue(value)
	}
}

// addValue adds the words of a decoded value of JSON. Text that is JSON itself, as the bodies of requests, counts as such.
// Headers do not: they are much alike.
func (w *wordList) addValue(value any) {
	if w.full() {
		w.cut = true
		return
	}
	switch value := value.(type) {
	case string:
		if inner, ok := nested(value); ok {
			w.addValue(inner)
			return
		}
		w.addText(value)
	case json.Number:
		w.addText(value.String())
		if plain := plainNumber(value.String()); plain != value.String() {
			w.addText(plain)
		}
	case []any:
		for _, element := range value {
			w.addValue(element)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if name != "header" && name != "headers" {
				w.addValue(value[name])
			}
		}
	}
}

// plainNumber returns a number as it is written without exponent and needless digits: the same for all that are equal. Text that
// is no number is returned as it is.
func plainNumber(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || math.Abs(f) > 1e100 {
		return text
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// nested returns the object or array that a text is the JSON of.
func nested(text string) (any, bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] != '{' && text[0] != '[' || len(text) > maxPayloadBytes {
		return nil, false
	}
	return decodeJSON([]byte(text))
}

// decodeJSON returns the value that data is the JSON of, with numbers as they are written.
func decodeJSON(data []byte) (value any, ok bool) {
	if len(data) == 0 {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil, false
	}
	return value, true
}
