package execution

import (
	"crypto/tls"
	"crypto/x509"
)

// httpTLS is what is recorded of a TLS connection. Certificates are public; keys are never recorded.
type httpTLS struct {
	Version      uint16   `json:"version"`
	CipherSuite  uint16   `json:"cipherSuite"`
	ServerName   string   `json:"serverName,omitempty"`
	Protocol     string   `json:"protocol,omitempty"` // that ALPN negotiated
	Resumed      bool     `json:"resumed,omitempty"`
	Certificates [][]byte `json:"certificates,omitempty"` // of the peer, DER
}

// tlsOf returns what is recorded of a connection, with the certificates of the peer when they are of interest: servers know
// their clients by them.
func tlsOf(state *tls.ConnectionState, certificates bool) *httpTLS {
	if state == nil {
		return nil
	}
	t := &httpTLS{
		Version: state.Version, CipherSuite: state.CipherSuite, ServerName: state.ServerName,
		Protocol: state.NegotiatedProtocol, Resumed: state.DidResume,
	}
	if certificates {
		for _, c := range state.PeerCertificates {
			t.Certificates = append(t.Certificates, c.Raw)
		}
	}
	return t
}

// state returns the connection as far as it is recorded.
func (t *httpTLS) state() *tls.ConnectionState {
	if t == nil {
		return nil
	}
	s := &tls.ConnectionState{
		HandshakeComplete: true, Version: t.Version, CipherSuite: t.CipherSuite, ServerName: t.ServerName,
		NegotiatedProtocol: t.Protocol, DidResume: t.Resumed,
	}
	for _, raw := range t.Certificates {
		if c, err := x509.ParseCertificate(raw); err == nil {
			s.PeerCertificates = append(s.PeerCertificates, c)
		}
	}
	return s
}
