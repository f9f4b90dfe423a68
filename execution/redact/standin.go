package redact

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Stand-ins can be told from what they stand for, without a key (R1). Numbers with these first digits are issued to nobody: 900
// is the code of no country, so no card begins so, and ZZ is none either, so no IBAN does.
const (
	hashPrefix    = "hash_"
	tokenPrefix   = "tok_"
	encryptPrefix = "enc1_"
	maskText      = "****"
	numberPrefix  = "900000"
	emailSuffix   = "@redacted.invalid"
	uuidPrefix    = "00000000-"
	ibanPrefix    = "ZZ"
	timeText      = "1111-11-11T11:11:11Z"

	digestDigits = 16 // hexadecimal, of a keyed hash
	shortDigits  = 10 // numbers of up to so many digits become ones: there is no room for a mark
	longDigits   = 20 // of the largest uint64: beginning with a 9, it would be none
)

// isStandIn says that a value was redacted before.
func isStandIn(text []byte) bool {
	if len(text) < 4 {
		return len(text) > 0 && isStandInNumber(text)
	}
	switch text[0] {
	case 'h':
		return isMarked(text, hashPrefix, digestDigits)
	case 't':
		return isMarked(text, tokenPrefix, digestDigits)
	case 'e':
		return bytes.HasPrefix(text, []byte(encryptPrefix)) && isAll(text, token)
	case '*':
		return bytes.HasPrefix(text, []byte(maskText)) && len(text) <= len(maskText)+maxKeepLast*4 && !bytes.ContainsRune(text[4:], '*')
	case '0':
		if isUUID(text) && bytes.HasPrefix(text, []byte(uuidPrefix)) && text[14] == '8' {
			return true
		}
	case 'u':
		return bytes.HasSuffix(text, []byte(emailSuffix)) && len(text) == 1+digestDigits+len(emailSuffix)
	case 'Z':
		return bytes.HasPrefix(text, []byte(ibanPrefix)) && mod97Compact(text) == 1
	}
	return isStandInNumber(text)
}

func isMarked(text []byte, prefix string, digits int) bool {
	return len(text) == len(prefix)+digits && string(text[:len(prefix)]) == prefix && isAll(text[len(prefix):], hexDigit)
}

// isDigest says that the digest of a stand-in is at a place of a text. Now and then one has digits only, and looks like a card.
func isDigest(text []byte, at int) bool {
	for _, prefix := range []string{hashPrefix, tokenPrefix} {
		if from, to := at-len(prefix), at+digestDigits; from >= 0 && to <= len(text) && isMarked(text[from:to], prefix, digestDigits) {
			return true
		}
	}
	return false
}

// isStandInNumber knows what standDigits makes.
func isStandInNumber(text []byte) bool {
	digits, ok := digitsOf(text)
	if !ok {
		return false
	}
	if hasOnes(len(digits)) {
		return len(digits) > 0 && strings.Count(string(digits), "1") == len(digits)
	}
	return bytes.HasPrefix(digits, []byte(numberPrefix))
}

// hasOnes says that the stand-in of a number with so many digits is all ones.
func hasOnes(digits int) bool { return digits <= shortDigits || digits == longDigits }

// digitsOf returns the digits of a text that is a number, with what people and JSON write between digits.
func digitsOf(text []byte) (digits []byte, ok bool) {
	for _, b := range text {
		switch {
		case isDigit(b):
			digits = append(digits, b)
		case strings.IndexByte(" +-./()eE", b) < 0:
			return nil, false
		}
	}
	return digits, len(digits) > 0
}

func isUUID(text []byte) bool {
	if len(text) != 36 {
		return false
	}
	for i, b := range text {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (b == '-') || !dash && !hexDigit.has(b|0x20) {
			return false
		}
	}
	return true
}

func mod97Compact(text []byte) int {
	compact := bytes.ReplaceAll(text, []byte(" "), nil)
	if len(compact) < 15 || !isAll(compact, ibanPart) {
		return 0
	}
	return mod97(compact)
}

// digest returns the keyed hash of a value for a use.
func (r *Redactor) digest(use string, value []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(use))
	mac.Write([]byte{0})
	mac.Write(value)
	return [sha256.Size]byte(mac.Sum(nil))
}

func (r *Redactor) digestText(use string, value []byte) string {
	sum := r.digest(use, value)
	return hex.EncodeToString(sum[:digestDigits/2])
}

// standIn returns what takes the place of a text, under an action other than drop and keep.
func (r *Redactor) standIn(do Action, text []byte) []byte {
	switch do.Name {
	case Mask:
		return mask(text, do.KeepLast)
	case Token:
		return r.token(text)
	case Encrypt:
		return r.encrypt(text)
	}
	return []byte(hashPrefix + r.digestText("hash", text))
}

// mask hides all but the last characters. Stars are always four: the length is part of the secret.
func mask(text []byte, keepLast int) []byte {
	masked := []byte(maskText)
	if keepLast == 0 {
		return masked
	}
	runes := []rune(string(text))
	if len(runes) < 2*keepLast {
		return masked
	}
	return append(masked, string(runes[len(runes)-keepLast:])...)
}

// token returns a stand-in of the same form.
func (r *Redactor) token(text []byte) []byte {
	if digits, ok := digitsOf(text); ok && len(digits)*2 > len(text) {
		return r.standDigits(text)
	}
	switch {
	case isUUID(text):
		hex := r.digestText("token", bytes.ToLower(text)) + "0000"
		return []byte(uuidPrefix + hex[:4] + "-8" + hex[4:7] + "-8" + hex[7:10] + "-" + hex[10:16] + hex[:6])
	case isWhole(text, findEmails):
		return []byte("u" + r.digestText("token", bytes.ToLower(text)) + emailSuffix)
	case isWhole(text, findIBANs):
		return r.standIBAN(text)
	}
	return []byte(tokenPrefix + r.digestText("token", text))
}

func isWhole(text []byte, find func([]byte, func(start, end int))) (whole bool) {
	find(text, func(start, end int) { whole = whole || start == 0 && end == len(text) })
	return whole
}

// standDigits replaces the digits of a number and leaves what is between them. The check digit of a number that has one is
// right in the stand-in as well. Equal numbers in different groups get equal digits.
func (r *Redactor) standDigits(text []byte) []byte {
	digits, _ := digitsOf(text)
	stand := bytes.Repeat([]byte("1"), len(digits))
	if !hasOnes(len(digits)) {
		sum := r.digest("digits", digits)
		for i := range stand {
			stand[i] = '0' + sum[i%len(sum)]%10
		}
		copy(stand, numberPrefix)
		if last := len(stand) - 1; luhn(digits) == 0 {
			stand[last] = '0'
			stand[last] = byte('0' + (10-luhn(stand))%10)
		}
	}
	out := bytes.Clone(text)
	for i := range out {
		if isDigit(out[i]) {
			out[i], stand = stand[0], stand[1:]
		}
	}
	return out
}

// standIBAN returns a valid IBAN of no country, in the same groups.
func (r *Redactor) standIBAN(text []byte) []byte {
	compact := bytes.ReplaceAll(text, []byte(" "), nil)
	sum := r.digest("iban", compact)
	stand := []byte(ibanPrefix + "00")
	for i := range len(compact) - len(stand) {
		stand = append(stand, '0'+sum[i%len(sum)]%10)
	}
	check := 98 - mod97(stand)
	stand[2], stand[3] = byte('0'+check/10), byte('0'+check%10)
	out := bytes.Clone(text)
	for i := range out {
		if out[i] != ' ' {
			out[i], stand = stand[0], stand[1:]
		}
	}
	return out
}

// maskDigits hides a number but its last digits. It stays a number.
func maskDigits(text []byte, keepLast int) []byte {
	out := bytes.Clone(text)
	digits, _ := digitsOf(text)
	if len(digits) < 2*keepLast {
		keepLast = 0
	}
	n := len(digits) - keepLast
	for i := range out {
		if isDigit(out[i]) && n > 0 {
			out[i], n = '1', n-1
		}
	}
	return out
}

// ErrNotEncrypted is returned by Decrypt for text that is no stand-in of the action encrypt, or that another key made.
var ErrNotEncrypted = errors.New("not encrypted with this key")

// encrypt returns an envelope of AES-GCM. The nonce is a keyed hash of the text, so that equal texts have equal envelopes and
// different ones do not share a nonce.
func (r *Redactor) encrypt(text []byte) []byte {
	nonce := r.digest("nonce", text)
	sealed := envelope(r.key).Seal(bytes.Clone(nonce[:12]), nonce[:12], text, nil)
	return base64.RawURLEncoding.AppendEncode([]byte(encryptPrefix), sealed)
}

// Decrypt returns the text that the action encrypt hid under the key. The error is ErrNotEncrypted.
func Decrypt(key []byte, standIn string) (string, error) {
	text, ok := strings.CutPrefix(standIn, encryptPrefix)
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(sealed) < 12 {
		return "", ErrNotEncrypted
	}
	opened, err := envelope(key).Open(nil, sealed[:12], sealed[12:], nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotEncrypted, err)
	}
	return string(opened), nil
}

func envelope(key []byte) cipher.AEAD {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("encrypt"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block
	}
	return gcm
}

// numberStandIn returns what takes the place of a number of JSON.
func (r *Redactor) numberStandIn(do Action, number []byte) []byte {
	switch {
	case isStandInNumber(number):
		return number
	case do.Name == Mask:
		return maskDigits(number, do.KeepLast)
	}
	stand := r.standDigits(number)
	if _, err := strconv.ParseFloat(string(stand), 64); err != nil {
		return []byte("1")
	}
	return stand
}
