// Package conformance tests the guarantees of Flux on the whole product: the real binary, real clients, real crashes.
package conformance
