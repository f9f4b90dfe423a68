package capacitor

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/message"
)

// Paths are the patterns at which a Handler is to be mounted, in the form of http.ServeMux.
var Paths = []string{
	"/tracking/", "/eventSourcing", "/eventSourcing/", "/keyValue", "/keyValue/", "/scheduling", "/scheduling/", "/search",
	"/search/", tokenPath,
}

// tokenPath comes before a token and the path proper. The SDKs have no setting for a header; the base URL that they are
// given may have a path.
const tokenPath = "/token/"

// kind is what an endpoint is for.
type kind uint8

const (
	gatewayKind kind = iota
	trackingKind
	eventSourcingKind
	keyValueKind
	schedulingKind
	searchKind
)

// endpoint is what a socket is opened for. State is kept per endpoint.
type endpoint struct {
	namespace message.Namespace
	kind      kind
	// log is that of a gateway or of tracking.
	log message.Log
}

// opening is a request for a websocket.
type opening struct {
	endpoint
	grant                             auth.Grant
	clientID, clientName, sdkVersion  string
	path                              string // and topic, for people
	clientSession, serverSession      string
	compression                       wire.Compression
	format                            wire.Format
	selectsCompression, selectsFormat bool
	fluxzero                          bool
}

// The headers of Fluxzero clients.
const (
	clientSessionHeader       = "Fluxzero-Client-Session-Id"
	sdkVersionHeader          = "Fluxzero-Client-Sdk-Version"
	offeredCompressionHeader  = "Fluxzero-Supported-Compression-Algorithms"
	offeredFormatHeader       = "Fluxzero-Supported-Transport-Formats"
	serverSessionHeader       = "Fluxzero-Runtime-Session-Id"
	serverVersionHeader       = "Fluxzero-Runtime-Version"
	selectedCompressionHeader = "Fluxzero-Selected-Compression-Algorithm"
	selectedFormatHeader      = "Fluxzero-Selected-Transport-Format"
)

// refusal is an answer to a request for a websocket that is not served.
type refusal struct {
	status int
	text   string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

func (r *refusal) write(w http.ResponseWriter) { http.Error(w, r.text, r.status) }

// open reads what a websocket is wanted for.
func (h *Handler) open(r *http.Request) (opening, *refusal) {
	path, token := splitToken(r)
	o := opening{path: strings.Trim(path, "/"), serverSession: newSessionID()}
	if !o.route(o.path) {
		return o, refuse(http.StatusNotFound, "there is no endpoint %s", r.URL.Path)
	}
	query := parseQuery(r.URL.RawQuery)
	o.clientID, o.clientName = query["clientId"], query["clientName"]
	if o.clientID == "" {
		return o, refuse(http.StatusBadRequest, "the query parameter clientId is missing")
	}
	if bad := o.locate(query); bad != nil {
		return o, bad
	}
	if bad := o.negotiate(query, r.Header); bad != nil {
		return o, bad
	}
	return o, h.authorize(&o, token)
}

// splitToken returns the path of an endpoint, and the token of the request if it has one.
func splitToken(r *http.Request) (path, token string) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(bearer)
	}
	rest, ok := strings.CutPrefix(r.URL.Path, tokenPath)
	if !ok {
		return r.URL.Path, token
	}
	token, path, _ = strings.Cut(rest, "/")
	return path, token
}

// route sets what the path says. Paths are those of the protocol, in its case.
func (e *endpoint) route(path string) bool {
	switch path {
	case "eventSourcing":
		e.kind = eventSourcingKind
	case "keyValue":
		e.kind = keyValueKind
	case "scheduling":
		e.kind = schedulingKind
	case "search":
		e.kind = searchKind
	default:
		return e.routeLog(path)
	}
	return true
}

// routeLog sets what a path says that ends with the name of a log. Some logs have other ways in than a gateway.
func (e *endpoint) routeLog(path string) bool {
	name, isGateway := strings.CutPrefix(path, "tracking/publish")
	if !isGateway {
		var isTracking bool
		if name, isTracking = strings.CutPrefix(path, "tracking/read"); !isTracking {
			return false
		}
		e.kind = trackingKind
	}
	t, err := message.ParseType(name)
	if err != nil || name != t.String() {
		return false
	}
	e.log.Type = t
	return !isGateway || t != message.Notification && t != message.Schedule && t != message.Document
}

// parseQuery reads the parameters as HTML forms write them. Clients insert some of them as they are, so what is no valid
// escape stands for itself.
func parseQuery(raw string) map[string]string {
	query := make(map[string]string)
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if _, repeated := query[name]; !repeated {
			query[name] = value
		}
	}
	return query
}

const maxNamespaceLen = 512

// locate sets namespace and topic.
func (o *opening) locate(query map[string]string) *refusal {
	namespace := query["namespace"]
	if namespace == "" {
		namespace = query["projectId"]
	}
	o.namespace = message.DefaultNamespace
	if namespace != "" {
		o.namespace = message.Namespace(namespace)
	}
	if len(namespace) > maxNamespaceLen || strings.ContainsRune(namespace, 0) {
		return refuse(http.StatusBadRequest, "the project has no valid name: use 1 to %d bytes without NUL", maxNamespaceLen)
	}
	if o.kind != gatewayKind && o.kind != trackingKind {
		return nil
	}
	if o.log.Type.HasTopics() {
		o.log.Topic = query["topic"]
		o.path += "?topic=" + o.log.Topic
	}
	if err := o.log.Validate(); err != nil {
		return refuse(http.StatusBadRequest, "%v: set the query parameter topic", err)
	}
	return nil
}

// negotiate sets format and compression: the first that the headers offer and the server knows. Else the compression is that
// of the query, else LZ4, and the format JSON, as the protocol has it. A client that is told of no format writes JSON.
func (o *opening) negotiate(query map[string]string, header http.Header) *refusal {
	o.clientSession, o.sdkVersion = header.Get(clientSessionHeader), header.Get(sdkVersionHeader)
	formats, compressions := header.Get(offeredFormatHeader), header.Get(offeredCompressionHeader)
	o.fluxzero = o.clientSession != "" || o.sdkVersion != "" || formats != "" || compressions != ""
	o.format, o.selectsFormat = choose(formats, wire.ParseFormat)
	o.compression = wire.LZ4
	if c, ok := choose(compressions, wire.ParseCompression); ok {
		o.compression, o.selectsCompression = c, true
		return nil
	}
	if name := query["compression"]; name != "" {
		c, ok := wire.ParseCompression(name)
		if !ok {
			return refuse(http.StatusBadRequest, "unknown compression %q: use LZ4, GZIP, ZSTD or NONE", name)
		}
		o.compression = c
	}
	return nil
}

// choose returns the first of the names in a list that is known.
func choose[T any](list string, parse func(string) (T, bool)) (chosen T, ok bool) {
	for name := range strings.SplitSeq(list, ",") {
		if chosen, ok = parse(strings.TrimSpace(name)); ok {
			return chosen, true
		}
	}
	return chosen, false
}

// answer sets the headers that tell a Fluxzero client what was chosen. Other clients get none.
func (o *opening) answer(header http.Header, version string) {
	if !o.fluxzero {
		return
	}
	header.Set(serverSessionHeader, o.serverSession)
	header.Set(serverVersionHeader, version)
	if o.selectsCompression {
		header.Set(selectedCompressionHeader, o.compression.String())
	}
	if o.selectsFormat {
		header.Set(selectedFormatHeader, o.format.String())
	}
}

// authorize checks that the token allows what the endpoint is for.
func (h *Handler) authorize(o *opening, token string) *refusal {
	if h.Tokens == nil {
		o.grant = auth.Everything
		return nil
	}
	grant, ok := h.Tokens.Grant(token)
	if !ok {
		return refuse(http.StatusUnauthorized, "no known token: send one as bearer token, or in the base URL as %s<token>", tokenPath)
	}
	o.grant = grant
	if needed := o.kind.needs(); !grant.Allows(o.namespace, needed) {
		return refuse(http.StatusForbidden, "the token does not have the right %s in namespace %s", needed, o.namespace)
	}
	return nil
}

func (k kind) needs() auth.Right {
	switch k {
	case gatewayKind:
		return auth.Write
	case trackingKind:
		return auth.Read
	}
	return auth.Read | auth.Write
}

// sessionID names the socket for people and in metrics.
func (o *opening) sessionID() string {
	if o.clientSession == "" {
		return o.serverSession
	}
	return o.clientSession + "_" + o.serverSession
}

// newSessionID returns 12 hexadecimal digits.
func newSessionID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
