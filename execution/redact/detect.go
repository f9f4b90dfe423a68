package redact

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// A detector finds secrets by what they look like.
type detector uint8

const (
	detectCard detector = iota
	detectJWT
	detectAWS
	detectAPIKey
	detectPEM
	detectBearer
	detectEmail
	detectIBAN
	detectEntropy // works on fields whose names sound like those of secrets

	detectorCount
)

type detectorSet uint16

var detectorNames = [detectorCount]string{"card", "jwt", "aws_key", "api_key", "pem", "bearer", "email", "iban", "entropy"}

// Detectors returns the names of all detectors.
func Detectors() []string { return detectorNames[:] }

func detectorsNamed(names []string) (set detectorSet, err error) {
next:
	for _, name := range names {
		if name == "card(luhn)" {
			name = "card"
		}
		for d, known := range detectorNames {
			if name == known {
				set |= 1 << d
				continue next
			}
		}
		return 0, fmt.Errorf("unknown detector %q: use some of %s", name, strings.Join(detectorNames[:], ", "))
	}
	return set, nil
}

// A span is a part of a text that is to be hidden.
type span struct {
	start, end int
	rule       *compiled
	by         string // what found it
	form       form
}

// What a text has in it decides which detectors look at it. Most texts have nothing.
const (
	hasAt = 1 << iota
	hasDash
	hasEquals
	hasColon
	hasDot
	hasUnderscore
	hasSpace
	hasBrace
)

var byteKinds = [256]uint8{
	'@': hasAt, '-': hasDash, '=': hasEquals, ':': hasColon, '.': hasDot, '_': hasUnderscore,
	' ': hasSpace, '\n': hasSpace, '\t': hasSpace, '\r': hasSpace, '{': hasBrace, '[': hasBrace,
}

// contents returns what a text has in it, and how many digits.
func contents[T string | []byte](text T) (has uint8, digits int) {
	for i := range len(text) {
		b := text[i]
		has |= byteKinds[b]
		if b-'0' <= 9 {
			digits++
		}
	}
	return has, digits
}

// isHarmless says that no detector has to look at a text: it is short, and has nothing of what secrets or their names have.
func isHarmless(text string) bool {
	if len(text) >= 15 {
		return false
	}
	has, digits := contents(text)
	return has&(hasAt|hasEquals|hasColon|hasBrace) == 0 && digits < 12
}

// find appends the spans that the detectors of a plan find, in no order.
func (p *plan) find(spans []span, text []byte, has uint8, digits int) []span {
	add := func(d detector, start, end int) {
		if !isStandIn(text[start:end]) && !isDigest(text, start) {
			spans = append(spans, span{start, end, p.detect[d], detectorNames[d], formWhole})
		}
	}
	on := func(d detector) bool { return p.found&(1<<d) != 0 }
	if digits >= 12 {
		if on(detectCard) {
			findCards(text, func(start, end int) { add(detectCard, start, end) })
		}
		if on(detectIBAN) {
			findIBANs(text, func(start, end int) { add(detectIBAN, start, end) })
		}
	}
	if len(text) < 15 {
		if has&hasAt != 0 && on(detectEmail) {
			findEmails(text, func(start, end int) { add(detectEmail, start, end) })
		}
		return spans
	}
	if has&hasAt != 0 && on(detectEmail) {
		findEmails(text, func(start, end int) { add(detectEmail, start, end) })
	}
	if has&hasDot != 0 && on(detectJWT) {
		findJWTs(text, func(start, end int) { add(detectJWT, start, end) })
	}
	if on(detectAWS) {
		findAWSKeys(text, func(start, end int) { add(detectAWS, start, end) })
	}
	if has&(hasDash|hasUnderscore) != 0 && on(detectAPIKey) {
		findAPIKeys(text, func(start, end int) { add(detectAPIKey, start, end) })
	}
	if has&hasDash != 0 && on(detectPEM) {
		findKeysInPEM(text, func(start, end int) { add(detectPEM, start, end) })
	}
	if has&hasSpace != 0 && on(detectBearer) {
		findBearers(text, func(start, end int) { add(detectBearer, start, end) })
	}
	return spans
}

// findCards finds numbers of payment cards: 13 to 19 digits of a known issuer with the right check digit, alone or in groups
// with single spaces or dashes between them.
func findCards(text []byte, found func(start, end int)) {
	for i := 0; i < len(text); i++ {
		if i = afterEscape(text, i); i == len(text) || !isDigit(text[i]) {
			continue
		}
		var digits [20]byte
		n, end := 0, i
		for j := i; j < len(text); j++ {
			if isDigit(text[j]) {
				if n < len(digits) {
					digits[n] = text[j]
				}
				n, end = n+1, j+1
			} else if text[j] != ' ' && text[j] != '-' || text[j-1] == ' ' || text[j-1] == '-' {
				break
			}
		}
		if n <= 19 && begins(text, i) && ends(text, end) && isCard(digits[:n]) && !isGroupOfUUID(text, i) {
			found(i, end)
			i = end
			continue
		}
		i = run(text, i, digit) - 1 // a number before the card, as "7 4111…", is not part of it
	}
}

// isGroupOfUUID says that a group of digits begins a UUID, or is a group within one. Now and then some of these have digits only.
func isGroupOfUUID(text []byte, at int) bool {
	for _, group := range []int{0, 9, 14, 19} {
		if from, to := at-group, at-group+36; from >= 0 && to <= len(text) && isUUID(text[from:to]) {
			return true
		}
	}
	return false
}

// cardIssuers are first digits, from and to, with the lengths that they are issued with.
var cardIssuers = []struct {
	from, to string
	lengths  string
}{
	{"4", "4", "\x0d\x10\x13"},
	{"51", "55", "\x10"},
	{"2221", "2720", "\x10"},
	{"34", "34", "\x0f"},
	{"37", "37", "\x0f"},
	{"6011", "6011", "\x10\x13"},
	{"644", "659", "\x10\x13"},
	{"62", "62", "\x10\x11\x12\x13"},
	{"300", "305", "\x0e"},
	{"36", "36", "\x0e"},
	{"38", "39", "\x0e"},
	{"3528", "3589", "\x10"},
	{"50", "50", "\x10"},
	{"56", "58", "\x10"},
	{"63", "63", "\x10"},
	{"67", "67", "\x10"},
}

func isCard(digits []byte) bool {
	if len(digits) < 13 {
		return false
	}
	for _, issuer := range cardIssuers {
		first := string(digits[:len(issuer.from)])
		if first >= issuer.from && first <= issuer.to && strings.IndexByte(issuer.lengths, byte(len(digits))) >= 0 {
			return luhn(digits) == 0
		}
	}
	return false
}

// luhn returns the check sum of digits modulo 10, which is 0 for valid numbers.
func luhn(digits []byte) int {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			d = d/10 + d%10
		}
		sum += d
	}
	return sum % 10
}

// findJWTs finds JSON web tokens: three parts in base64 for URLs, of which the first two are JSON objects.
func findJWTs(text []byte, found func(start, end int)) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("eyJ"))
		if i < 0 {
			return
		}
		i += at
		header := run(text, i, jwtPart)
		at = header
		if !begins(text, i) || header-i < 10 || header == len(text) || text[header] != '.' {
			continue
		}
		payload := run(text, header+1, jwtPart)
		if payload-header < 4 {
			continue
		}
		end := payload
		if end < len(text) && text[end] == '.' {
			end = run(text, end+1, jwtPart)
		}
		found(i, end)
		at = end
	}
}

// findAWSKeys finds ids of access keys of Amazon Web Services.
func findAWSKeys(text []byte, found func(start, end int)) {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], 'A')
		if i < 0 || at+i+20 > len(text) {
			return
		}
		i += at
		at = i + 1
		switch string(text[i : i+4]) {
		case "AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA":
			end := run(text, i, ibanPart)
			if end-i == 20 && begins(text, i) && ends(text, end) {
				found(i, end)
				at = end
			}
		}
	}
}

// apiKeyPrefixes begin keys of services that mark theirs so that they can be found.
var apiKeyPrefixes = [][]byte{
	[]byte("sk_live_"), []byte("sk_test_"), []byte("rk_live_"), []byte("whsec_"), []byte("ghp_"), []byte("gho_"), []byte("ghs_"),
	[]byte("github_pat_"), []byte("glpat-"), []byte("xoxb-"), []byte("xoxp-"), []byte("xapp-"), []byte("npm_"), []byte("sk-"),
	[]byte("AIza"), []byte("SG."), []byte("shpat_"), []byte("dop_v1_"),
}

func findAPIKeys(text []byte, found func(start, end int)) {
	for i := 0; i < len(text); {
		i = afterEscape(text, i)
		end := run(text, i, jwtPart|dot)
		if end-i >= 20 {
			for _, prefix := range apiKeyPrefixes {
				if bytes.HasPrefix(text[i:end], prefix) && end-i >= len(prefix)+16 {
					found(i, end)
					break
				}
			}
		}
		i = end + 1
	}
}

// findKeysInPEM finds private keys in PEM, to their end or, when they were shortened, that of the text.
func findKeysInPEM(text []byte, found func(start, end int)) {
	const begin, finish, kind = "-----BEGIN ", "-----END ", "PRIVATE KEY"
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(begin))
		if i < 0 {
			return
		}
		i += at
		at = i + len(begin)
		label, _, _ := bytes.Cut(text[at:min(at+60, len(text))], []byte("-----"))
		if !bytes.Contains(label, []byte(kind)) {
			continue
		}
		end := len(text)
		if j := bytes.Index(text[at:], []byte(finish)); j >= 0 {
			end = at + j + len(finish)
			if k := bytes.Index(text[end:], []byte("-----")); k >= 0 {
				end += k + len("-----")
			}
		}
		found(i, end)
		at = end
	}
}

// findBearers finds what follows "Bearer" and "Basic", as in a header.
func findBearers(text []byte, found func(start, end int)) {
	for at := 0; at < len(text); {
		i := bytes.IndexByte(text[at:], ' ')
		if i < 0 {
			return
		}
		i += at
		at = i + 1
		if !endsWithScheme(text[:i]) {
			continue
		}
		if end := run(text, at, token); end-at >= 8 && looksRandom(text[at:end]) {
			found(at, end)
			at = end
		}
	}
}

func endsWithScheme(text []byte) bool {
	for _, scheme := range []string{"bearer", "basic"} {
		if n := len(text) - len(scheme); n >= 0 && bytes.EqualFold(text[n:], []byte(scheme)) && begins(text, n) {
			return true
		}
	}
	return false
}

// looksRandom tells a token from a word: "Basic information" is no secret.
func looksRandom(text []byte) bool {
	for _, b := range text {
		if ibanPart.has(b) || b == '=' || b == '+' || b == '/' || b == '_' {
			return true
		}
	}
	return false
}

// findEmails finds e-mail addresses.
func findEmails(text []byte, found func(start, end int)) {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '@')
		if i < 0 {
			return
		}
		i += at
		at = i + 1
		start := i
		for start > 0 && mailLocal.has(text[start-1]) {
			start--
		}
		end := run(text, at, mailHost)
		for end > at && (text[end-1] == '.' || text[end-1] == '-') {
			end--
		}
		if dot := bytes.LastIndexByte(text[at:end], '.'); start < i && dot > 0 && end-at-dot > 2 {
			found(start, end)
			at = end
		}
	}
}

// findIBANs finds international bank account numbers with the right check sum, as one word or in groups of four.
func findIBANs(text []byte, found func(start, end int)) {
	for i := 0; i+15 <= len(text); i++ {
		if !upper.has(text[i]) || !upper.has(text[i+1]) || !isDigit(text[i+2]) || !isDigit(text[i+3]) || !begins(text, i) {
			continue
		}
		if end := endOfIBAN(text, i); end > 0 {
			found(i, end)
			i = end
		}
	}
}

func endOfIBAN(text []byte, start int) int {
	var compact []byte
	best := 0
	for j := start; j < len(text) && len(compact) < 34; j++ {
		if text[j] == ' ' && (len(compact)%4 == 0) && text[j-1] != ' ' {
			continue
		}
		if !ibanPart.has(text[j]) {
			break
		}
		compact = append(compact, text[j])
		if len(compact) >= 15 && ends(text, j+1) && mod97(compact) == 1 {
			best = j + 1
		}
	}
	return best
}

// mod97 returns the check sum of an IBAN, which is 1 for valid ones.
func mod97(iban []byte) int {
	sum := 0
	for i := range iban {
		b := iban[(i+4)%len(iban)]
		if isDigit(b) {
			sum = (sum*10 + int(b-'0')) % 97
		} else {
			sum = (sum*100 + int(b-'A') + 10) % 97
		}
	}
	return sum
}

// isEntropic says that a value looks as if it was drawn: one long word with many different characters.
func isEntropic(text []byte) bool {
	if len(text) < 20 || len(text) > 4096 || !isAll(text, token) {
		return false
	}
	var counts [256]int
	for _, b := range text {
		counts[b]++
	}
	entropy := 0.0
	for _, n := range counts {
		if n > 0 {
			share := float64(n) / float64(len(text))
			entropy -= share * math.Log2(share)
		}
	}
	return entropy >= 3.5 && looksRandom(text)
}
