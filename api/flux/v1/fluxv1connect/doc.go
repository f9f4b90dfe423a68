// Package fluxv1connect has the clients and handlers of the native API's services, generated from the schema above it.
package fluxv1connect
