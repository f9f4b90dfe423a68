// Command protogen generates the Go code of the protobuf schema under api/. It needs nothing but Go: protocompile reads
// the .proto files, and the generators are tools of go.mod.
//
//	go run ./internal/protogen           write the generated files
//	go run ./internal/protogen -check    change nothing, exit 1 and list the files that are not up to date
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
)

// schemaRoot is the folder that imports between .proto files are relative to, and where the Go files go.
const schemaRoot = "api"

func main() {
	check := flag.Bool("check", false, "change nothing, exit 1 when a generated file is not up to date")
	flag.Parse()
	if err := run(context.Background(), schemaRoot, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

// run generates the code of the schema under root. It prints the files that differ and writes them, unless check is set:
// then it returns errStale instead.
func run(ctx context.Context, root string, check bool, out io.Writer) error {
	request, err := compile(ctx, root)
	if err != nil {
		return err
	}
	generated, err := generate(ctx, request)
	if err != nil {
		return err
	}
	changes, err := compare(root, generated)
	if err != nil {
		return err
	}
	for _, change := range changes {
		fmt.Fprintln(out, change)
	}
	if check && len(changes) > 0 {
		return errStale
	}
	return write(changes)
}
