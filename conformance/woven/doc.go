// Package woven checks the promise of flux go: a program that never imports Flux is recorded, and its record is replayed with
// everything it knows stopped. The program is testdata/shop, a module of its own.
//
// The first run compiles the standard library once more, and the tool that weaves, which takes minutes. So the test runs only where
// FLUX_TEST_WOVEN is set: make conformance-woven, a step of CI of its own, sets it.
package woven
