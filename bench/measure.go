package main

import (
	"os"
	"slices"
	"time"
)

// latencies are the durations of single calls.
type latencies []time.Duration

// percentile returns the duration below which the share p of all calls lies, 0 < p ≤ 1, or 0 without calls.
func (l latencies) percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[min(len(l)-1, int(float64(len(l))*p))]
}

// closedLoop has callers call f one call after the other, all at the same time, for about d. It returns the duration of
// every call and the calls per second.
func closedLoop(callers int, d time.Duration, f func(caller, n int) error) (latencies, float64, error) {
	perCaller := make([]latencies, callers)
	start := time.Now()
	err := inParallel(callers, func(caller int) error {
		for n := 0; ; n++ {
			before := time.Now()
			if before.Sub(start) >= d {
				return nil
			}
			if err := f(caller, n); err != nil {
				return err
			}
			perCaller[caller] = append(perCaller[caller], time.Since(before))
		}
	})
	elapsed := time.Since(start)
	all := slices.Concat(perCaller...)
	return all, float64(len(all)) / elapsed.Seconds(), err
}

// rawSync returns how long writing 4 KiB at the end of a file in dir and syncing its data takes, n times: the least that a
// log can do which answers each append by itself.
func rawSync(dir string, n int) (latencies, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page := make([]byte, 4096)
	all := make(latencies, 0, n)
	for range n {
		before := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := syncData(f); err != nil {
			return nil, err
		}
		all = append(all, time.Since(before))
	}
	return all, nil
}
