package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// generators are run with `go tool`, so their versions are the ones in go.mod.
var generators = []string{"protoc-gen-go", "protoc-gen-connect-go"}

// generate runs all generators and returns the files they wrote: content by slash-separated path relative to the schema
// root.
func generate(ctx context.Context, request *pluginpb.CodeGeneratorRequest) (map[string]string, error) {
	request.Parameter = proto.String("paths=source_relative")
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, generator := range generators {
		response, err := runGenerator(ctx, generator, input)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", generator, err)
		}
		for _, file := range response.GetFile() {
			files[file.GetName()] = file.GetContent()
		}
	}
	return files, nil
}

func runGenerator(ctx context.Context, name string, input []byte) (*pluginpb.CodeGeneratorResponse, error) {
	command := exec.CommandContext(ctx, "go", "tool", name)
	command.Stdin = bytes.NewReader(input)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return &response, nil
}
