//go:build !unix

package main

import "time"

// processTime returns how long this process has run.
func processTime() time.Duration { return time.Since(processStart) }
