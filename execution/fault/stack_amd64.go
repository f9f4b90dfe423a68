package fault

// frameChain fills pcs with return addresses, from the innermost, as the chain of frame pointers has them, and returns how many
// there are. It is 0 when the chain does not end where it should, as below a callback from C.
//
//go:noescape
func frameChain(pcs *[maxDepth]uintptr) int
