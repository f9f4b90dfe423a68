package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const schema = `syntax = "proto3";

// Package greet is what the generated package comment says.
package greet.v1;

import "google/protobuf/duration.proto";

option go_package = "example.com/greet/v1;greetv1";

// Greeter says hello.
service Greeter {
  // Hello greets one person.
  rpc Hello(HelloRequest) returns (HelloResponse);
}

message HelloRequest { string name = 1; }
message HelloResponse { google.protobuf.Duration took = 1; }
`

// schemaFolder returns the root of a schema with one file, greet/v1/greet.proto.
func schemaFolder(t *testing.T, content string) string {
	t.Helper()
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "greet", "v1", "greet.proto"), content)
	return root
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGeneratedCodeIsKeptEqualToTheSchema(t *testing.T) {
	t.Parallel()
	root := schemaFolder(t, schema)
	messages := filepath.Join(root, "greet", "v1", "greet.pb.go")
	service := filepath.Join(root, "greet", "v1", "greetv1connect", "greet.connect.go")
	orphan := filepath.Join(root, "greet", "v1", "gone.pb.go")

	expectRun(t, root, false, nil, "create "+messages, "create "+service)
	expectFile(t, messages, "type HelloRequest struct")
	expectFile(t, service, "// Hello greets one person.")
	expectRun(t, root, true, nil)

	writeFile(t, messages, "package greetv1\n")
	writeFile(t, orphan, "package greetv1\n")
	expectRun(t, root, true, errStale, "delete "+orphan, "update "+messages)
	expectFile(t, messages, "package greetv1\n")

	expectRun(t, root, false, nil, "delete "+orphan, "update "+messages)
	expectFile(t, messages, "type HelloRequest struct")
	expectRun(t, root, true, nil)
}

func TestBrokenSchemaNamesFileAndLine(t *testing.T) {
	t.Parallel()
	root := schemaFolder(t, strings.Replace(schema, "string name", "strng name", 1))
	err := run(t.Context(), root, false, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "greet/v1/greet.proto:16:") {
		t.Fatalf("got error %v, want one at greet/v1/greet.proto:16", err)
	}
}

func TestFolderWithoutSchemaIsAnError(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), t.TempDir(), false, &bytes.Buffer{}); err == nil {
		t.Fatal("generated code out of nothing")
	}
}

func expectRun(t *testing.T, root string, check bool, want error, lines ...string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), root, check, &out); !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
	if got, want := strings.TrimSpace(out.String()), strings.Join(lines, "\n"); got != want {
		t.Fatalf("printed\n%s\nwant\n%s", got, want)
	}
}

func expectFile(t *testing.T, path, part string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), part) {
		t.Fatalf("%s lacks %q:\n%s", path, part, content)
	}
}
