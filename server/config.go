package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadConfig is returned for a Config that breaks a rule.
var ErrBadConfig = errors.New("bad server config")

// Config configures a server. The zero value is usable: it keeps everything in memory.
type Config struct {
	// Dir is the directory of the store. Empty keeps everything in memory, to be gone with the server. Defaults to empty.
	Dir string `json:"dir,omitempty" yaml:"dir,omitempty"`
	// Listen is the address to listen on, host:port. Port 0 takes a free one. Defaults to "127.0.0.1:8888".
	Listen string `json:"listen,omitempty" yaml:"listen,omitempty"`
	// TokensFile is the file with the tokens that callers need, docs/protocol/native.md. Without it everybody may do
	// everything, so that it is needed to listen for others than this machine. Defaults to none.
	TokensFile string `json:"tokens,omitempty" yaml:"tokens,omitempty"`
	// Insecure allows to listen for others than this machine without tokens. Defaults to false.
	Insecure bool `json:"insecure,omitempty" yaml:"insecure,omitempty"`
	// OpenMetrics serves /metrics to callers without a token too. Defaults to false.
	OpenMetrics bool `json:"open_metrics,omitempty" yaml:"open-metrics,omitempty"`
	// MaxMessageBytes is the largest request, or message of a stream, that is taken; also the largest block when unpacked.
	// 1 KiB to 128 MiB. Defaults to 64 MiB.
	MaxMessageBytes int `json:"max_message_bytes,omitempty" yaml:"max-message-bytes,omitempty"`
	// CacheBytes bounds the cache of the store. Defaults to 64 MiB.
	CacheBytes int64 `json:"cache_bytes,omitempty" yaml:"cache-bytes,omitempty"`
	// RetentionEvery is how often old messages are looked for and deleted. Defaults to a minute.
	RetentionEvery time.Duration `json:"retention_every,omitempty" yaml:"retention-every,omitempty"`

	// Logger gets what the server has to say. Defaults to silence.
	Logger *slog.Logger `json:"-" yaml:"-"`
	// Clock gives the time of messages. Defaults to time.Now.
	Clock func() time.Time `json:"-" yaml:"-"`

	hooks hooks
}

// hooks are what tests change of a server.
type hooks struct {
	// openStore opens the store, on a disk that fails for instance.
	openStore func(engine.Options) (*engine.Engine, error)
	// pings replaces how soon silent clients are asked, and how long they have to answer.
	pings time.Duration
}

// WithDefaults returns a copy with the defaults for everything that is not set.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8888"
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 64 << 20
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if c.RetentionEvery == 0 {
		c.RetentionEvery = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.hooks.pings == 0 {
		c.hooks.pings = 5 * time.Second
	}
	return c
}

const minMessageBytes = 1 << 10

// Validate returns ErrBadConfig, with the field and its value, for a config that no server can be started with. It reads no
// files, and takes the config as WithDefaults returns it.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("%w: Listen %q: %w", ErrBadConfig, c.Listen, err)
	case !isLoopback(host) && c.TokensFile == "" && !c.Insecure:
		return fmt.Errorf("%w: Listen %q is open to other machines: set TokensFile, or Insecure to let anybody in", ErrBadConfig, c.Listen)
	case c.MaxMessageBytes < minMessageBytes || c.MaxMessageBytes > message.MaxBlockBytes:
		return fmt.Errorf("%w: MaxMessageBytes %d: use %d to %d", ErrBadConfig, c.MaxMessageBytes, minMessageBytes, message.MaxBlockBytes)
	case c.CacheBytes < 0:
		return fmt.Errorf("%w: CacheBytes %d is negative", ErrBadConfig, c.CacheBytes)
	case c.RetentionEvery < 0:
		return fmt.Errorf("%w: RetentionEvery %s is negative", ErrBadConfig, c.RetentionEvery)
	}
	return nil
}

// isLoopback reports whether only this machine can reach the host. Names other than localhost may mean anything.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
