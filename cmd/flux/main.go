// Command flux is the Flux server and everything one does with it from a terminal. `flux help` lists its commands;
// docs/cli is their reference.
package main

import (
	"context"
	"os"

	"github.com/flux-go/flux/internal/cli"
)

func main() { os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
