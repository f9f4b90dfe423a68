package native

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/message"
)

// NamespaceHeader names the namespace of a call.
const NamespaceHeader = "Flux-Namespace"

// caller is what the gate found out about who calls. Handlers find it in their context.
type caller struct {
	namespace message.Namespace
}

type callerKey struct{}

// namespaceOf returns the namespace of the call. The gate has put it there.
func namespaceOf(ctx context.Context) message.Namespace {
	return ctx.Value(callerKey{}).(caller).namespace
}

// gate admits a call, or not, before anything of its body is read.
func (s *Service) gate(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	c, err := s.admit(spec.Procedure, header)
	if err != nil {
		s.observer.Called(spec.Procedure, classOf(err).code, 0)
		return nil, wireError(err, spec.Procedure, s.logger)
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

func (s *Service) admit(name string, header http.Header) (caller, error) {
	if s.closing.Err() != nil {
		return caller{}, errClosing
	}
	grant, err := s.authenticate(header)
	if err != nil {
		return caller{}, err
	}
	ns, err := auth.ParseNamespace(header.Get(NamespaceHeader))
	if err != nil {
		return caller{}, err
	}
	c := caller{ns}
	known, ok := procedures[name]
	if !ok || !known.allowed(grant, c) {
		return caller{}, fmt.Errorf("%w: %s needs the right %s in %s", errForbidden, name, known.needs, known.scope(c))
	}
	return c, nil
}

func (p procedure) scope(c caller) string {
	if p.everywhere {
		return "all namespaces"
	}
	return "namespace " + string(c.namespace)
}

// authenticate returns what the caller may do, by its token if the server asks for one.
func (s *Service) authenticate(header http.Header) (auth.Grant, error) {
	if s.tokens == nil {
		return auth.Everything, nil
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return auth.Grant{}, fmt.Errorf("%w: no bearer token", errUnauthenticated)
	}
	grant, ok := s.tokens.Grant(strings.TrimSpace(token))
	if !ok {
		return auth.Grant{}, fmt.Errorf("%w: unknown token", errUnauthenticated)
	}
	return grant, nil
}

// Authenticated serves next to callers with any token, or to everybody when the server asks for none.
func (s *Service) Authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.authenticate(r.Header); err != nil {
			s.WriteError(w, r, http.StatusUnauthorized, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
