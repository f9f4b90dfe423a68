package auto

import (
	"context"
	"crypto/rand"
	"io"
	"math/big"
	"os"

	"github.com/flux-go/flux/execution"
)

// The functions below stand in for those of crypto/rand. Programs make ids with them, which a replay needs, but also keys, which
// must not be in a record. So they are recorded only when FLUX_RECORD_CRYPTO says so.

var recordSecrets = recorder != nil && os.Getenv("FLUX_RECORD_CRYPTO") == "1"

// secretReader returns the source of the execution in place of that of crypto/rand, when that is wanted, and r otherwise.
func secretReader(r io.Reader) io.Reader {
	if recordSecrets && r == rand.Reader && inside() {
		return execution.RandReader(context.Background())
	}
	return r
}

// SecretRead is rand.Read.
func SecretRead(p []byte) (int, error) {
	if r := secretReader(rand.Reader); r != rand.Reader {
		return io.ReadFull(r, p)
	}
	return rand.Read(p)
}

// SecretInt is rand.Int.
func SecretInt(r io.Reader, max *big.Int) (*big.Int, error) { return rand.Int(secretReader(r), max) }

// SecretText is rand.Text.
func SecretText() string {
	r := secretReader(rand.Reader)
	if r == rand.Reader {
		return rand.Text()
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	text := make([]byte, 26)
	_, _ = io.ReadFull(r, text) // the source of an execution has no end
	for i := range text {
		text[i] = alphabet[text[i]%32]
	}
	return string(text)
}
