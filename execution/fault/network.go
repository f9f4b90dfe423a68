package fault

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
)

var networkKinds = kinds{
	newWrapper("url.Error",
		func(e *url.Error) opFields { return opFields{Op: e.Op, What: e.URL} },
		func(f opFields, inner error) error { return &url.Error{Op: f.Op, URL: f.What, Err: inner} }),
	newWrapper("net.OpError", opErrorFieldsOf, opErrorFields.rebuild),
	newKind("net.DNSError", dnsFieldsOf, dnsFields.rebuild),
	newKind("net.AddrError",
		func(e *net.AddrError) opFields { return opFields{Op: e.Err, What: e.Addr} },
		func(f opFields, _ error) error { return &net.AddrError{Err: f.Op, Addr: f.What} }),
	newKind("net.ParseError",
		func(e *net.ParseError) opFields { return opFields{Op: e.Type, What: e.Text} },
		func(f opFields, _ error) error { return &net.ParseError{Type: f.Op, Text: f.What} }),
	newKind("net.UnknownNetworkError",
		func(e net.UnknownNetworkError) string { return string(e) },
		func(text string, _ error) error { return net.UnknownNetworkError(text) }),
	newKind("net.InvalidAddrError",
		func(e net.InvalidAddrError) string { return string(e) },
		func(text string, _ error) error { return net.InvalidAddrError(text) }),
	newKind("syscall.Errno", errnoFieldsOf, errnoFields.rebuild),
}

type opErrorFields struct {
	Op     string   `json:"op"`
	Net    string   `json:"net,omitempty"`
	Source *address `json:"source,omitempty"`
	Addr   *address `json:"addr,omitempty"`
}

func opErrorFieldsOf(e *net.OpError) opErrorFields {
	return opErrorFields{Op: e.Op, Net: e.Net, Source: addressOf(e.Source), Addr: addressOf(e.Addr)}
}

func (f opErrorFields) rebuild(inner error) error {
	return &net.OpError{Op: f.Op, Net: f.Net, Source: f.Source.rebuild(), Addr: f.Addr.rebuild(), Err: inner}
}

type dnsFields struct {
	Err       string `json:"err"`
	Name      string `json:"name,omitempty"`
	Server    string `json:"server,omitempty"`
	Timeout   bool   `json:"timeout,omitempty"`
	Temporary bool   `json:"temporary,omitempty"`
	NotFound  bool   `json:"notFound,omitempty"`
}

func dnsFieldsOf(e *net.DNSError) dnsFields {
	return dnsFields{e.Err, e.Name, e.Server, e.IsTimeout, e.IsTemporary, e.IsNotFound}
}

func (f dnsFields) rebuild(inner error) error {
	return &net.DNSError{
		UnwrapErr: inner, Err: f.Err, Name: f.Name, Server: f.Server,
		IsTimeout: f.Timeout, IsTemporary: f.Temporary, IsNotFound: f.NotFound,
	}
}

// An address is a net.Addr. It is one itself, for addresses of types that are not rebuilt.
type address struct {
	Name string `json:"network"`
	Text string `json:"text"`
}

// Network implements net.Addr.
func (a *address) Network() string { return a.Name }

// String implements net.Addr.
func (a *address) String() string { return a.Text }

func addressOf(addr net.Addr) *address {
	if addr == nil {
		return nil
	}
	return &address{addr.Network(), addr.String()}
}

// rebuild returns the address with its type. It looks nothing up.
func (a *address) rebuild() net.Addr {
	if a == nil {
		return nil
	}
	switch a.Name {
	case "tcp", "udp":
		return a.rebuildPort()
	case "unix", "unixgram", "unixpacket":
		return &net.UnixAddr{Name: a.Text, Net: a.Name}
	case "ip":
		if ip, err := netip.ParseAddr(a.Text); err == nil {
			return &net.IPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
		}
	}
	return a
}

func (a *address) rebuildPort() net.Addr {
	at, err := netip.ParseAddrPort(a.Text)
	switch {
	case err != nil:
		return a
	case a.Name == "udp":
		return net.UDPAddrFromAddrPort(at)
	}
	return net.TCPAddrFromAddrPort(at)
}

// errnoFields name a system call error, because the numbers differ between systems.
type errnoFields struct {
	Name   string `json:"name,omitempty"`
	Number uint   `json:"number"`
}

func errnoFieldsOf(e syscall.Errno) errnoFields {
	return errnoFields{errnoNames[e], uint(e)}
}

func (f errnoFields) rebuild(error) error {
	for number, name := range errnoNames {
		if name == f.Name {
			return number
		}
	}
	return syscall.Errno(f.Number)
}

// errnoName returns the name of a number, or the number for those that we have no name for.
func errnoName(e syscall.Errno) string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return "errno " + strconv.FormatUint(uint64(e), 10)
}

// errnoNames are the numbers that calls over a network and of files return and that all systems have. It is no literal
// because on some systems two of them are the same.
var errnoNames = func() map[syscall.Errno]string {
	names := map[syscall.Errno]string{}
	for _, e := range []struct {
		number syscall.Errno
		name   string
	}{
		{syscall.ECONNREFUSED, "ECONNREFUSED"},
		{syscall.ECONNRESET, "ECONNRESET"},
		{syscall.ECONNABORTED, "ECONNABORTED"},
		{syscall.EPIPE, "EPIPE"},
		{syscall.ETIMEDOUT, "ETIMEDOUT"},
		{syscall.EHOSTUNREACH, "EHOSTUNREACH"},
		{syscall.EHOSTDOWN, "EHOSTDOWN"},
		{syscall.ENETUNREACH, "ENETUNREACH"},
		{syscall.ENETDOWN, "ENETDOWN"},
		{syscall.ENETRESET, "ENETRESET"},
		{syscall.ENOTCONN, "ENOTCONN"},
		{syscall.EISCONN, "EISCONN"},
		{syscall.EADDRINUSE, "EADDRINUSE"},
		{syscall.EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{syscall.EAFNOSUPPORT, "EAFNOSUPPORT"},
		{syscall.EALREADY, "EALREADY"},
		{syscall.EINPROGRESS, "EINPROGRESS"},
		{syscall.EMSGSIZE, "EMSGSIZE"},
		{syscall.ENOBUFS, "ENOBUFS"},
		{syscall.EPROTO, "EPROTO"},
		{syscall.ESHUTDOWN, "ESHUTDOWN"},
		{syscall.ENOENT, "ENOENT"},
		{syscall.EEXIST, "EEXIST"},
		{syscall.EACCES, "EACCES"},
		{syscall.EPERM, "EPERM"},
		{syscall.EINVAL, "EINVAL"},
		{syscall.EINTR, "EINTR"},
		{syscall.EAGAIN, "EAGAIN"},
		{syscall.EBADF, "EBADF"},
		{syscall.EBUSY, "EBUSY"},
		{syscall.EDQUOT, "EDQUOT"},
		{syscall.EFBIG, "EFBIG"},
		{syscall.EIO, "EIO"},
		{syscall.EISDIR, "EISDIR"},
		{syscall.EMFILE, "EMFILE"},
		{syscall.ENFILE, "ENFILE"},
		{syscall.ENOMEM, "ENOMEM"},
		{syscall.ENOSPC, "ENOSPC"},
		{syscall.ENOTDIR, "ENOTDIR"},
		{syscall.ENOTEMPTY, "ENOTEMPTY"},
		{syscall.EROFS, "EROFS"},
		{syscall.EXDEV, "EXDEV"},
		{syscall.ENOSYS, "ENOSYS"},
		{syscall.EOPNOTSUPP, "EOPNOTSUPP"},
		{syscall.ESRCH, "ESRCH"},
		{syscall.ECHILD, "ECHILD"},
		{syscall.ENAMETOOLONG, "ENAMETOOLONG"},
		{syscall.ELOOP, "ELOOP"},
		{syscall.E2BIG, "E2BIG"},
	} {
		names[e.number] = e.name
	}
	return names
}()
