package redact

// A class is a set of bytes. Texts are looked at byte by byte, so what a byte is comes from a table.
type class uint16

const (
	digit     class = 1 << iota
	upper           // A to Z
	hexDigit        // 0 to 9, a to f
	word            // letters, digits and _
	jwtPart         // base64 for URLs
	token           // base64 of both kinds, and what else tokens are made of
	space           // of JSON
	mailLocal       // before the @ of an address
	mailHost        // after it
	formName        // of a field of a form
	urlWord         // up to what cannot be in a URL
	bareValue       // up to what ends a value without quotes
	number          // of JSON
	ibanPart        // capitals and digits
	dot
)

var classes = func() (table [256]class) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	add := func(c class, bytes string) {
		for i := range len(bytes) {
			table[bytes[i]] |= c
		}
	}
	add(digit|hexDigit|number|ibanPart, "0123456789")
	add(upper|ibanPart, letters[26:])
	add(hexDigit, "abcdef")
	add(word|jwtPart|token|mailLocal|formName, letters+"0123456789_")
	add(jwtPart|token|mailLocal|formName, "-")
	add(token, "+/=.~")
	add(space, " \t\n\r")
	add(mailLocal, ".+%")
	add(mailHost, letters+"0123456789.-")
	add(formName, ".%+[]")
	add(number, "+-.eE")
	add(dot, ".")
	for b := range 256 {
		if b >= 0x80 {
			table[b] |= mailLocal | mailHost
		}
		if b > ' ' {
			table[b] |= urlWord | bareValue
		}
	}
	for _, b := range "\"'<>`" {
		table[b] &^= urlWord
	}
	for _, b := range "&;\"'<>" {
		table[b] &^= bareValue
	}
	return table
}()

func (c class) has(b byte) bool { return classes[b]&c != 0 }

// run returns the end of the bytes of a class that begin at start.
func run(text []byte, start int, c class) int {
	for start < len(text) && classes[text[start]]&c != 0 {
		start++
	}
	return start
}

// isAll says that all of a text is of a class.
func isAll(text []byte, c class) bool { return run(text, 0, c) == len(text) }

func isDigit(b byte) bool { return b-'0' <= 9 }
func isAlnum(b byte) bool { return b != '_' && word.has(b) }

// begins says that no letter or digit stands before a place: what follows is not the end of a longer word. What URLs write for
// another byte, as %20, does not belong to the word.
func begins(text []byte, at int) bool {
	return at == 0 || !isAlnum(text[at-1]) || at >= 3 && text[at-3] == '%'
}

// afterEscape returns the place after an escape of URLs of which the % is before a place, or that place.
func afterEscape(text []byte, at int) int {
	if at > 0 && text[at-1] == '%' && at+2 <= len(text) {
		return at + 2
	}
	return at
}

// ends is the same for the end.
func ends(text []byte, at int) bool { return at == len(text) || !word.has(text[at]) }
