package flux

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/message"
)

// Config says how an [App] connects. The zero value talks to a server on this machine.
type Config struct {
	// Name is the name of the application. All its instances share it, and with it their default consumers. Defaults to the
	// name of the program.
	Name string
	// ClientID tells the instances of an application apart. No two running ones may share it. Defaults to a random id.
	ClientID string
	// URL is where the server listens. Defaults to $FLUX_URL, else http://127.0.0.1:8888.
	URL string
	// Token is the bearer token to show to the server. Defaults to $FLUX_TOKEN, else none.
	Token string
	// Namespace is where logs are written and read. Defaults to $FLUX_NAMESPACE, else "public".
	Namespace message.Namespace

	// RequestTimeout is how long [Ask] waits when its context has no deadline. Defaults to one minute.
	RequestTimeout time.Duration
	// ConnectTimeout is how long [Connect] tries to reach the server. Defaults to five seconds.
	ConnectTimeout time.Duration
	// StopTimeout is how long [App.Run] lets handlers go on with the batch in hand when it has to stop. Defaults to half a
	// minute.
	StopTimeout time.Duration
	// MaxMessageBytes is the largest transaction that the server takes; larger ones are refused here, as [ErrTooLarge].
	// Defaults to 64 MiB.
	MaxMessageBytes int
	// WindowBytes is how much may be published without having been answered before publishing waits. Defaults to 8 MiB.
	WindowBytes int

	// Recorder records each call of a handler as an execution, and what executions do with Flux as operations. Operations are
	// recorded without it too where their context has an execution, as in an HTTP handler behind its Middleware. In a process
	// that flux replay or flux resume started, an App handles the recorded message and nothing else. Defaults to none.
	Recorder *execution.Recorder

	// Logger is told what nobody else is: lost connections, errors of handlers. Defaults to silence.
	Logger *slog.Logger
	// OnHandled, if set, is called after each call of a handler, by the goroutine that called it.
	OnHandled func(Handled)
}

const (
	defaultURL      = "http://127.0.0.1:8888"
	defaultMaxBytes = 64 << 20
)

// WithDefaults returns a copy of c with its zero fields set to their defaults.
func (c Config) WithDefaults() Config {
	c.Name = cmp.Or(c.Name, filepath.Base(os.Args[0]))
	c.ClientID = cmp.Or(c.ClientID, randomID())
	c.URL = cmp.Or(c.URL, os.Getenv("FLUX_URL"), defaultURL)
	c.Token = cmp.Or(c.Token, os.Getenv("FLUX_TOKEN"))
	c.Namespace = cmp.Or(c.Namespace, message.Namespace(os.Getenv("FLUX_NAMESPACE")), message.DefaultNamespace)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, time.Minute)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 5*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, 30*time.Second)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, defaultMaxBytes)
	c.WindowBytes = cmp.Or(c.WindowBytes, 8<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate returns an error for each setting that cannot work, joined. Zero fields are fine.
func (c Config) Validate() error {
	var problems []error
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		problems = append(problems, fmt.Errorf("config: URL %q: want http:// or https:// and a host", c.URL))
	}
	for _, positive := range []struct {
		name  string
		value int64
	}{
		{"RequestTimeout", int64(c.RequestTimeout)},
		{"ConnectTimeout", int64(c.ConnectTimeout)},
		{"StopTimeout", int64(c.StopTimeout)},
		{"MaxMessageBytes", int64(c.MaxMessageBytes)},
		{"WindowBytes", int64(c.WindowBytes)},
	} {
		if positive.value < 0 {
			problems = append(problems, fmt.Errorf("config: %s is %d, which is negative", positive.name, positive.value))
		}
	}
	return errors.Join(problems...)
}

// randomID returns 32 lower-case hexadecimal digits.
func randomID() string {
	id := newProducerID()
	return hex.EncodeToString(id[:])
}

func newProducerID() (id [16]byte) {
	rand.Read(id[:]) // never fails
	return id
}
