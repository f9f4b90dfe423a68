package fault

import (
	"crypto/tls"
	"crypto/x509"
)

// maxCertificates is how many certificates of one error are kept: those that a server sends are seldom more than three.
const maxCertificates = 8

var tlsKinds = kinds{
	newKind("tls.CertificateVerificationError",
		func(e *tls.CertificateVerificationError) certificates {
			return certificatesOf(e.UnverifiedCertificates...)
		},
		func(c certificates, inner error) error {
			return &tls.CertificateVerificationError{UnverifiedCertificates: c.parse(), Err: inner}
		}),
	newKind("tls.RecordHeaderError",
		func(e tls.RecordHeaderError) recordHeader { return recordHeader{e.Msg, e.RecordHeader[:]} },
		recordHeader.rebuild),
	newKind("tls.AlertError",
		func(e tls.AlertError) uint8 { return uint8(e) },
		func(alert uint8, _ error) error { return tls.AlertError(alert) }),
	newKind("x509.UnknownAuthorityError",
		func(e x509.UnknownAuthorityError) certificates { return certificatesOf(e.Cert) },
		func(c certificates, _ error) error { return x509.UnknownAuthorityError{Cert: c.first()} }),
	newKind("x509.CertificateInvalidError", invalidFieldsOf, invalidFields.rebuild),
	newKind("x509.HostnameError", hostnameFieldsOf, hostnameFields.rebuild),
	newKind("x509.SystemRootsError",
		func(x509.SystemRootsError) struct{} { return struct{}{} },
		func(_ struct{}, inner error) error { return x509.SystemRootsError{Err: inner} }),
	newKind("x509.InsecureAlgorithmError",
		func(e x509.InsecureAlgorithmError) int { return int(e) },
		func(algorithm int, _ error) error { return x509.InsecureAlgorithmError(algorithm) }),
	newKind("x509.UnhandledCriticalExtension",
		func(x509.UnhandledCriticalExtension) struct{} { return struct{}{} },
		func(struct{}, error) error { return x509.UnhandledCriticalExtension{} }),
	newKind("x509.ConstraintViolationError",
		func(x509.ConstraintViolationError) struct{} { return struct{}{} },
		func(struct{}, error) error { return x509.ConstraintViolationError{} }),
}

// certificates are in DER. Code asks them what was wrong, and the texts of some errors are computed from them.
type certificates [][]byte

func certificatesOf(all ...*x509.Certificate) (c certificates) {
	for _, one := range all {
		if one != nil && len(c) < maxCertificates {
			c = append(c, one.Raw)
		}
	}
	return c
}

func (c certificates) parse() (all []*x509.Certificate) {
	for _, der := range c {
		if one, err := x509.ParseCertificate(der); err == nil {
			all = append(all, one)
		}
	}
	return all
}

func (c certificates) first() *x509.Certificate {
	if all := c.parse(); len(all) > 0 {
		return all[0]
	}
	return nil
}

type recordHeader struct {
	Text   string `json:"text"`
	Header []byte `json:"header"`
}

func (r recordHeader) rebuild(error) error {
	e := tls.RecordHeaderError{Msg: r.Text}
	copy(e.RecordHeader[:], r.Header)
	return e
}

type invalidFields struct {
	Certificates certificates `json:"certificates"`
	Reason       int          `json:"reason"`
	Detail       string       `json:"detail,omitempty"`
}

func invalidFieldsOf(e x509.CertificateInvalidError) invalidFields {
	return invalidFields{certificatesOf(e.Cert), int(e.Reason), e.Detail}
}

func (f invalidFields) rebuild(error) error {
	return x509.CertificateInvalidError{
		Cert: f.Certificates.first(), Reason: x509.InvalidReason(f.Reason), Detail: f.Detail,
	}
}

type hostnameFields struct {
	Certificates certificates `json:"certificates"`
	Host         string       `json:"host"`
}

func hostnameFieldsOf(e x509.HostnameError) hostnameFields {
	return hostnameFields{certificatesOf(e.Certificate), e.Host}
}

func (f hostnameFields) rebuild(error) error {
	return x509.HostnameError{Certificate: f.Certificates.first(), Host: f.Host}
}
