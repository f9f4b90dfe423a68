package cli

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
)

// client calls the native API of a server.
type client struct {
	logs      fluxv1connect.LogServiceClient
	tracking  fluxv1connect.TrackingServiceClient
	events    fluxv1connect.EventStoreServiceClient
	values    fluxv1connect.KeyValueServiceClient
	schedules fluxv1connect.ScheduleServiceClient
	admin     fluxv1connect.AdminServiceClient

	executions fluxv1connect.ExecutionServiceClient
}

// dial returns a client of the server that the settings name. It connects when it is used.
func (p *program) dial() (*client, error) {
	if !strings.Contains(p.url, "://") {
		p.url = "http://" + p.url
	}
	address, err := url.Parse(p.url)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, usagef("an address is like http://127.0.0.1:8888", "bad address %q", p.url)
	}
	base := strings.TrimSuffix(p.url, "/")
	web := &http.Client{Transport: &identity{transport(address.Scheme), p.namespace, p.token}}
	return &client{
		logs:      fluxv1connect.NewLogServiceClient(web, base),
		tracking:  fluxv1connect.NewTrackingServiceClient(web, base),
		events:    fluxv1connect.NewEventStoreServiceClient(web, base),
		values:    fluxv1connect.NewKeyValueServiceClient(web, base),
		schedules: fluxv1connect.NewScheduleServiceClient(web, base),
		admin:     fluxv1connect.NewAdminServiceClient(web, base),

		executions: fluxv1connect.NewExecutionServiceClient(web, base),
	}, nil
}

// transport speaks HTTP/2, without which there are no streams in both directions; also where there is no TLS.
func transport(scheme string) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(scheme == "http")
	return &http.Transport{Proxy: http.ProxyFromEnvironment, Protocols: protocols}
}

// identity puts into every call who makes it, and for which namespace.
type identity struct {
	next             http.RoundTripper
	namespace, token string
}

// RoundTrip implements http.RoundTripper.
func (i *identity) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Flux-Namespace", i.namespace)
	if i.token != "" {
		request.Header.Set("Authorization", "Bearer "+i.token)
	}
	return i.next.RoundTrip(request)
}
