package main

import (
	"os"
	"syscall"
)

// syncData writes the data of a file to disk, and of its metadata only what reading it needs.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
