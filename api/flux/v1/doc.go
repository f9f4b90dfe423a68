// Package fluxv1 has the messages of the native API, generated from the schema beside it. Programs in Go use package flux,
// which speaks this API for them; the clients and handlers of its services are in package fluxv1connect.
//
// Every call names its namespace in the header Flux-Namespace and, when the server asks for it, carries a token in the
// header Authorization. The comments of the schema say the rest.
package fluxv1
