package fault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// TestRealFailuresOfTheNetwork compares errors of connections that really failed with what is built from their record.
// G-189.
func TestRealFailuresOfTheNetwork(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	tests := []struct {
		name  string
		fail  func(t *testing.T) error
		class record.ErrorClass
		code  string
	}{
		{"refused", getRefused, record.ClassRefused, "ECONNREFUSED"},
		{"refused dial", dialRefused, record.ClassRefused, "ECONNREFUSED"},
		{"name not found", lookUp(answerNotFound), record.ClassDNSNotFound, ""},
		{"name server failed", lookUp(answerFailed), record.ClassDNSTemporary, ""},
		{"name server silent", lookUpSilent, record.ClassDeadline, ""},
		{"certificate expired", func(t *testing.T) error { return authority.get(t, -time.Hour, "127.0.0.1", true) }, record.ClassTLSExpired, ""},
		{"certificate of another host", func(t *testing.T) error { return authority.get(t, time.Hour, "other.test", true) }, record.ClassTLSVerify, ""},
		{"certificate of another address", func(t *testing.T) error { return authority.get(t, time.Hour, "127.0.0.9", true) }, record.ClassTLSVerify, ""},
		{"unknown authority", func(t *testing.T) error { return authority.get(t, time.Hour, "127.0.0.1", false) }, record.ClassTLSVerify, ""},
		{"no TLS", dialPlain, record.ClassTLSHandshake, ""},
		{"old TLS", dialOld, record.ClassTLSHandshake, ""},
		{"client timeout", getSlow(&http.Client{Timeout: 20 * time.Millisecond}), record.ClassDeadline, ""},
		{"header timeout", getSlow(&http.Client{Transport: &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond}}), record.ClassDeadline, ""},
		{"context deadline", getLate, record.ClassDeadline, ""},
		{"context canceled", getCanceled, record.ClassCanceled, ""},
		{"read deadline", readLate, record.ClassDeadline, ""},
		{"closed here", readClosed, record.ClassClosed, ""},
		{"closed there", getFrom(func(c *net.TCPConn) { _ = c.Close() }), record.ClassEOF, ""},
		{"reset", getFrom(reset), record.ClassReset, "ECONNRESET"},
		{"not HTTP", getFrom(answer("SSH-2.0-x\r\n\r\n")), record.ClassProto, ""},
		{"cut body", getFrom(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")), record.ClassUnexpectedEOF, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.fail(t)
			if err == nil {
				t.Fatal("it did not fail")
			}
			taken, rebuilt := throughJSON(t, err)
			if taken.Class != test.class || taken.Code != test.code {
				t.Errorf("%v (%#v)\nclass %q and code %q, want %q and %q", err, err, taken.Class, taken.Code, test.class, test.code)
			}
			same(t, err, rebuilt)
		})
	}
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func getRefused(t *testing.T) error {
	return get(t.Context(), &http.Client{Transport: &http.Transport{}}, "http://"+freeAddress(t)+"/orders?id=7")
}

func dialRefused(t *testing.T) error {
	_, err := net.Dial("tcp", freeAddress(t))
	return err
}

// get reads the whole answer.
func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}

const (
	answerFailed   = 2
	answerNotFound = 3
)

// lookUp asks a name server that answers every question with a code.
func lookUp(code byte) func(*testing.T) error {
	return func(t *testing.T) error {
		server := listenPacket(t)
		go func() {
			question := make([]byte, 1500)
			for {
				n, from, err := server.ReadFrom(question)
				if err != nil {
					return
				}
				question[2] |= 0x80 // this is an answer
				question[3] = question[3]&0xf0 | code
				question[11] = 0 // without the additional record of the question
				_, _ = server.WriteTo(question[:withoutExtra(question[:n])], from)
			}
		}()
		_, err := resolver(server).LookupHost(t.Context(), "payments.invalid")
		return err
	}
}

// withoutExtra returns the length of the header and of the one question.
func withoutExtra(packet []byte) int {
	n := 12
	for packet[n] != 0 {
		n += int(packet[n]) + 1
	}
	return n + 1 + 4
}

func lookUpSilent(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := resolver(listenPacket(t)).LookupHost(ctx, "payments.invalid")
	return err
}

func listenPacket(t *testing.T) net.PacketConn {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func resolver(server net.PacketConn) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// An authority signs certificates of servers.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the test"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// get asks a server with a certificate that is valid for so long, for a host, of a client that knows the authority or not.
func (a *authority) get(t *testing.T, valid time.Duration, host string, known bool) error {
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server of the test"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(valid),
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of every handshake that fails
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	if known {
		roots.AddCert(a.certificate)
	}
	return get(t.Context(), &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}, server.URL)
}

func dialPlain(t *testing.T) error {
	_, err := tls.Dial("tcp", serve(t, answer("220 mail.test ready\r\n")), &tls.Config{ServerName: "mail.test"})
	return err
}

func dialOld(t *testing.T) error {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true})
	return err
}

// slowServer answers when the client has gone.
func slowServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(server.Close)
	return server.URL
}

func getSlow(client *http.Client) func(*testing.T) error {
	return func(t *testing.T) error { return get(t.Context(), client, slowServer(t)) }
}

func getLate(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	return get(ctx, &http.Client{Transport: &http.Transport{}}, slowServer(t))
}

func getCanceled(t *testing.T) error {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return get(ctx, &http.Client{Transport: &http.Transport{}}, slowServer(t))
}

func readLate(t *testing.T) error {
	conn := dial(t)
	if err := conn.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func readClosed(t *testing.T) error {
	conn := dial(t)
	_ = conn.Close()
	_, err := conn.Read(make([]byte, 1))
	return err
}

func dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", serve(t, func(*net.TCPConn) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// serve hands every connection to a function, after something was read from it or it was closed.
func serve(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<10))
			handle(conn.(*net.TCPConn))
		}
	}()
	return listener.Addr().String()
}

func getFrom(handle func(*net.TCPConn)) func(*testing.T) error {
	return func(t *testing.T) error {
		return get(t.Context(), &http.Client{Transport: &http.Transport{}}, "http://"+serve(t, handle))
	}
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

func answer(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}
