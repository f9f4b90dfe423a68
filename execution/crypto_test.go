package execution_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// keyring are the private keys of a service, made before it records anything.
type keyring struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
	ecdh  *ecdh.PrivateKey
	aes   cipher.AEAD
	bytes map[string][]byte // what must be in no record
}

func newKeyring(t *testing.T) *keyring {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	k, err := new(keyring), error(nil)
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(nil)
	must(err)
	k.ecdh, err = ecdh.X25519().GenerateKey(rand.Reader)
	must(err)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	block, err := aes.NewCipher(secret)
	must(err)
	k.aes, err = cipher.NewGCM(block)
	must(err)
	scalar, err := k.ecdsa.Bytes()
	must(err)
	k.bytes = map[string][]byte{
		"rsa d": k.rsa.D.Bytes(), "rsa p": k.rsa.Primes[0].Bytes(), "rsa q": k.rsa.Primes[1].Bytes(), "ecdsa": scalar, "ed25519": k.ed.Seed(),
		"ecdh": k.ecdh.Bytes(), "aes": secret,
	}
	return k
}

var signedText = sha256.Sum256([]byte("order 1009"))

// random are uses of cryptography that give another result each time, made so that a replay gives the same.
var random = map[string]func(ctx context.Context, k *keyring) ([]byte, error){
	"rsa.SignPSS": func(ctx context.Context, k *keyring) ([]byte, error) {
		return rsa.SignPSS(execution.RandReader(ctx), k.rsa, crypto.SHA256, signedText[:], nil)
	},
	"rsa.EncryptOAEP": func(ctx context.Context, k *keyring) ([]byte, error) {
		return rsa.EncryptOAEP(sha256.New(), execution.RandReader(ctx), &k.rsa.PublicKey, signedText[:], nil)
	},
	"nonce of AES-GCM": func(ctx context.Context, k *keyring) ([]byte, error) {
		nonce := make([]byte, k.aes.NonceSize())
		_, err := execution.RandReader(ctx).Read(nonce)
		return k.aes.Seal(nonce, nonce, signedText[:], nil), err
	},
	"rand.Int": func(ctx context.Context, _ *keyring) ([]byte, error) {
		n, err := rand.Int(execution.RandReader(ctx), new(big.Int).Lsh(big.NewInt(1), 128))
		return n.Bytes(), err
	},
	"ecdsa in Do": func(ctx context.Context, k *keyring) ([]byte, error) {
		return execution.Do(ctx, own("sign"), func(context.Context) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, k.ecdsa, signedText[:]) })
	},
	"ecdh in Do": func(ctx context.Context, k *keyring) ([]byte, error) {
		return execution.Do(ctx, own("seal"), func(context.Context) ([]byte, error) {
			once, err := ecdh.X25519().GenerateKey(rand.Reader)
			if err != nil {
				return nil, err
			}
			shared, err := once.ECDH(k.ecdh.PublicKey())
			return append(once.PublicKey().Bytes(), hash(shared)...), err
		})
	},
}

// deterministic are uses that give the same whatever they are given.
var deterministic = map[string]func(ctx context.Context, k *keyring) ([]byte, error){
	"ed25519.Sign": func(_ context.Context, k *keyring) ([]byte, error) { return ed25519.Sign(k.ed, signedText[:]), nil },
	"rsa.SignPKCS1v15": func(_ context.Context, k *keyring) ([]byte, error) {
		return rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, signedText[:])
	},
	"ecdsa without a source": func(_ context.Context, k *keyring) ([]byte, error) {
		return k.ecdsa.Sign(nil, signedText[:], crypto.SHA256)
	},
}

// deaf are uses that do not listen to the reader they are given. When Go changes that, the guide changes too.
var deaf = map[string]func(ctx context.Context, k *keyring) ([]byte, error){
	"ecdsa.SignASN1": func(ctx context.Context, k *keyring) ([]byte, error) {
		return ecdsa.SignASN1(execution.RandReader(ctx), k.ecdsa, signedText[:])
	},
	"ecdh.GenerateKey": func(ctx context.Context, _ *keyring) ([]byte, error) {
		key, err := ecdh.X25519().GenerateKey(execution.RandReader(ctx))
		return key.PublicKey().Bytes(), err
	},
}

func own(shape string) execution.Op {
	return execution.Op{Boundary: "crypto", Shape: shape, Effect: record.EffectRead, Request: hex.EncodeToString(signedText[:])}
}

func hash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// use records a use of cryptography twice and replays the first, and tells what came of each.
func use(t *testing.T, k *keyring, f func(ctx context.Context, k *keyring) ([]byte, error)) (first, second, again []byte, of *record.Execution) {
	t.Helper()
	into := func(result *[]byte) func(ctx context.Context, _ *world) error {
		return func(ctx context.Context, _ *world) (err error) {
			*result, err = f(ctx, k)
			return err
		}
	}
	of = run(t, nil, into(&first))
	run(t, nil, into(&second))
	if report := replay(t, nil, of, nil, into(&again)); report.Outcome != execution.OutcomeSame || len(first) == 0 {
		t.Errorf("%v, result %x", report, first)
	}
	return first, second, again, of
}

// TestResultsOfCryptographyAreTheSameInAReplay is F-21.
func TestResultsOfCryptographyAreTheSameInAReplay(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	for name, f := range random {
		first, second, again, of := use(t, k, f)
		if bytes.Equal(first, second) || !bytes.Equal(first, again) {
			t.Errorf("%s: recorded %x, recorded again %x, replayed %x", name, first, second, again)
		}
		k.findNone(t, name, of)
	}
	for name, f := range deterministic {
		if first, second, again, of := use(t, k, f); !bytes.Equal(first, second) || !bytes.Equal(first, again) {
			t.Errorf("%s: recorded %x, recorded again %x, replayed %x", name, first, second, again)
		} else {
			k.findNone(t, name, of)
		}
	}
	for name, f := range deaf {
		if first, _, again, _ := use(t, k, f); bytes.Equal(first, again) {
			t.Errorf("%s heeds its reader now", name)
		}
	}
}

// findNone looks for the keys in all forms of a record. What a search must find is the input of the operations.
func (k *keyring) findNone(t *testing.T, name string, of *record.Execution) {
	t.Helper()
	text, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	for _, cp := range of.Checkpoints {
		text = append(append(text, cp.Request.Data...), cp.Response.Data...)
	}
	text = append(text, record.Append(nil, of)...)
	if len(of.Checkpoints) > 0 && !isIn(text, signedText[:]) {
		t.Errorf("%s: the search does not find what is there", name)
	}
	for key, secret := range k.bytes {
		if isIn(text, secret) {
			t.Errorf("%s: the record has the key %s", name, key)
		}
	}
}

// isIn says that a secret is in a text: as it is, in hexadecimal, in decimal, or in base64 on its own.
func isIn(text, secret []byte) bool {
	decimal := new(big.Int).SetBytes(secret).String()
	for _, form := range []string{string(secret), hex.EncodeToString(secret), decimal, base64.RawStdEncoding.EncodeToString(secret)} {
		if bytes.Contains(text, []byte(form)) {
			return true
		}
	}
	return false
}
