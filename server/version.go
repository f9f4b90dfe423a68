package server

import "runtime/debug"

// Version is the version of the program that runs: that of the module, and of its source when it was built from a clone.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
