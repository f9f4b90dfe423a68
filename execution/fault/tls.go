package fault

import (
	"crypto/tls"
	"crypto/x509"
)

// maxCertificates is how many certificates of one error are kept: those that a server sends are seldom more than three.
const maxCertificates = 8

var tlsKinds = kinds{
	newWrapper("tls.CertificateVerificationError",
		func(e *tls.CertificateVerificationError) certificates {
			return certificatesOf(e.UnverifiedCertificates...)
		},
		certificates.rebuildVerification),
	newKind("tls.RecordHeaderError",
		func(e tls.RecordHeaderError) recordHeader { return recordHeader{e.Msg, e.RecordHeader[:]} },
		recordHeader.rebuild),
	newKind("tls.AlertError",
		func(e tls.AlertError) uint8 { return uint8(e) },
		func(alert uint8, _ error) error { return tls.AlertError(alert) }),
	newKind("x509.UnknownAuthorityError",
		func(e x509.UnknownAuthorityError) certificates { return certificatesOf(e.Cert) },
		certificates.rebuildUnknownAuthority),
	newKind("x509.CertificateInvalidError", invalidFieldsOf, invalidFields.rebuild),
	newKind("x509.HostnameError", hostnameFieldsOf, hostnameFields.rebuild),
	newWrapper("x509.SystemRootsError",
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

// certificates are in DER. Code asks them what was wrong, and the texts of some errors are computed from them, so an error
// whose certificates cannot be read is not rebuilt.
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

func (c certificates) rebuildVerification(inner error) error {
	if all := c.parse(); len(all) > 0 {
		return &tls.CertificateVerificationError{UnverifiedCertificates: all, Err: inner}
	}
	return nil
}

func (c certificates) rebuildUnknownAuthority(error) error {
	if all := c.parse(); len(all) > 0 {
		return x509.UnknownAuthorityError{Cert: all[0]}
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
	if all := f.Certificates.parse(); len(all) > 0 {
		return x509.CertificateInvalidError{Cert: all[0], Reason: x509.InvalidReason(f.Reason), Detail: f.Detail}
	}
	return nil
}

type hostnameFields struct {
	Certificates certificates `json:"certificates"`
	Host         string       `json:"host"`
}

func hostnameFieldsOf(e x509.HostnameError) hostnameFields {
	return hostnameFields{certificatesOf(e.Certificate), e.Host}
}

func (f hostnameFields) rebuild(error) error {
	if all := f.Certificates.parse(); len(all) > 0 {
		return x509.HostnameError{Certificate: all[0], Host: f.Host}
	}
	return nil
}
