//go:build !amd64

package fault

// frameChain says that frames cannot be followed by their pointers, so that runtime.Callers is asked each time.
func frameChain(*[maxDepth]uintptr) int { return 0 }
