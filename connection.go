package flux

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
)

// connection is the way to the server. Publishing, tracking and everything else each have a TCP connection of their own,
// so that a block on its way in does not wait behind one on its way out.
type connection struct {
	publish   fluxv1connect.LogServiceClient
	calls     fluxv1connect.LogServiceClient
	tracking  fluxv1connect.TrackingServiceClient
	events    fluxv1connect.EventStoreServiceClient
	values    fluxv1connect.KeyValueServiceClient
	schedules fluxv1connect.ScheduleServiceClient
	probe     *http.Client
	url       string
	sockets   sockets
}

func dial(c Config) *connection {
	conn := &connection{url: strings.TrimSuffix(c.URL, "/")}
	client := func() *http.Client {
		return &http.Client{Transport: &identity{next: newTransport(conn.sockets.dial), namespace: string(c.Namespace), token: c.Token}}
	}
	// Blocks are compressed already.
	plain := connect.WithAcceptCompression("gzip", nil, nil)
	conn.publish = fluxv1connect.NewLogServiceClient(client(), conn.url, plain)
	conn.tracking = fluxv1connect.NewTrackingServiceClient(client(), conn.url, plain)
	conn.probe = client()
	conn.calls = fluxv1connect.NewLogServiceClient(conn.probe, conn.url, plain)
	conn.events = fluxv1connect.NewEventStoreServiceClient(conn.probe, conn.url, plain)
	conn.values = fluxv1connect.NewKeyValueServiceClient(conn.probe, conn.url, plain)
	conn.schedules = fluxv1connect.NewScheduleServiceClient(conn.probe, conn.url, plain)
	return conn
}

// newTransport speaks HTTP/2 in clear text to http URLs. Its windows hold what a server on the same continent sends in a
// round trip. A peer that is gone without a word is noticed after at most ten seconds.
func newTransport(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:              http.ProxyFromEnvironment,
		DialContext:        dial,
		Protocols:          protocols,
		DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize:              1 << 20,
			MaxReceiveBufferPerConnection: 4<<20 - 1,
			MaxReceiveBufferPerStream:     4<<20 - 1,
			SendPingTimeout:               5 * time.Second,
			PingTimeout:                   5 * time.Second,
		},
	}
}

// reach returns nil as soon as the server answers, or the last problem when ctx ends.
func (c *connection) reach(ctx context.Context) error {
	for wait := (backoff{}); ; {
		err := c.health(ctx)
		if err == nil || !wait.sleep(ctx) {
			return err
		}
	}
}

func (c *connection) health(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/health", nil)
	if err != nil {
		return err
	}
	response, err := c.probe.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s/health answers %s", ErrUnavailable, c.url, response.Status)
	}
	return nil
}

// close ends all TCP connections. All streams must be over.
func (c *connection) close() { c.sockets.close() }

// sockets knows the open connections. Those of net/http that are not quite idle yet could not be closed in another way, and
// would keep a server from shutting down.
type sockets struct {
	mu   sync.Mutex
	open map[*socket]struct{}
}

type socket struct {
	net.Conn
	sockets *sockets
}

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	known := &socket{conn, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*socket]struct{})
	}
	s.open[known] = struct{}{}
	return known, nil
}

// Close implements net.Conn.
func (c *socket) Close() error {
	c.sockets.mu.Lock()
	delete(c.sockets.open, c)
	c.sockets.mu.Unlock()
	return c.Conn.Close()
}

func (s *sockets) close() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // whatever it says, the connection is over
	}
}

// hangUp ends a stream. To cancel its context is not enough: net/http does not look at that while it waits for more of the
// request.
func hangUp(stream interface{ CloseRequest() error }, cancel context.CancelFunc) {
	cancel()
	_ = stream.CloseRequest() // whatever it says, the stream is over
}

// identity adds to each call who is calling, and for which namespace.
type identity struct {
	next             http.RoundTripper
	namespace, token string
}

func (i *identity) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Flux-Namespace", i.namespace)
	if i.token != "" {
		r.Header.Set("Authorization", "Bearer "+i.token)
	}
	if r.ContentLength < 0 && r.Body != nil {
		r.Body = &streamBody{ReadCloser: r.Body}
	}
	return i.next.RoundTrip(r)
}

// backoff waits longer after each failure, up to a few seconds, and never as long as anybody else: otherwise all clients
// of a server that restarts come back in the same instant.
type backoff struct {
	first, longest time.Duration // default to 20 ms and 3 s
	next           time.Duration
}

// sleep reports whether it is time to try again, rather than that ctx has ended.
func (b *backoff) sleep(ctx context.Context) bool {
	if b.longest == 0 {
		b.first, b.longest = 20*time.Millisecond, 3*time.Second
	}
	b.next = min(max(2*b.next, b.first), b.longest)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *backoff) reset() { b.next = 0 }
