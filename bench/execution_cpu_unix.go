//go:build unix

package main

import (
	"syscall"
	"time"
)

// processTime returns how long the processors have worked for this process. Work of others on the machine counts less in it than
// in what a clock shows: only by what it takes from caches.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Since(processStart)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
