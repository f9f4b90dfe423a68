// Package fluxtest makes recorded executions regression tests.
//
//	func TestOrderWithDeclinedCard(t *testing.T) {
//		fluxtest.Replay(t, "testdata/7c1e.fluxrec", app.Handler(), nil)
//	}
//
// The recording comes from flux export; flux export --as-test writes the test as well. The handler gets the recorded request,
// and its operations are answered from the recording: no server, no database and no network is needed, and none is touched by
// what goes through the adapters of package execution.
//
// # What can go wrong
//
// A handler that calls something without an adapter really calls it. One that asks for what the recording does not have stops:
// the test says at which operation, and in what it differs from a recorded one.
package fluxtest
