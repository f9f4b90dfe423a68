package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/execution"
)

// list is what a job has to ship.
type list struct {
	Items string `json:"items"`
}

func newJob(file string) (job *execution.Job[list, int], end func() error, err error) {
	rec, err := connect(file)
	if err != nil {
		return nil, nil, err
	}
	job = execution.NewJob(rec, "inventory", func(ctx context.Context, in list) (int, error) {
		if in.Items == "" {
			return 0, errors.New("nothing to do")
		}
		err := take(ctx, in.Items)
		if err == nil {
			err = ship(ctx, in.Items)
		}
		return len(in.Items), err
	})
	return job, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return rec.Close(ctx)
	}, nil
}

// recordJob has a job fail.
func recordJob(ctx context.Context, args []string) error {
	job, end, err := newJob(args[0])
	if err != nil {
		return err
	}
	if _, err := job.Run(ctx, list{"books"}); err == nil {
		return errors.New("the job went well")
	}
	return end()
}

// runJob runs the job with nothing to do, unless it is a replay.
func runJob(ctx context.Context, _ []string) error {
	job, end, err := newJob("")
	if err != nil {
		return err
	}
	n, err := job.Run(ctx, list{})
	fmt.Println("stock: the job returned", n, err)
	return end()
}

// attendJobs waits to be told what to run.
func attendJobs(ctx context.Context, _ []string) error {
	_, end, err := newJob("")
	if err != nil {
		return err
	}
	<-ctx.Done()
	return end()
}
