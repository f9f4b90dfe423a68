//go:build !fixed

package main

import (
	"fmt"
	"strconv"
	"strings"
)

const version = "2.3.0"

// smallestUnits returns "49.90" as 4990. It has a mistake: not all currencies have two digits after the point.
func smallestUnits(amount, _ string) (int64, error) {
	whole, part, found := strings.Cut(amount, ".")
	if !found || len(part) != 2 {
		return 0, fmt.Errorf("%w: %q has no cents", errAmount, amount)
	}
	return strconv.ParseInt(whole+part, 10, 64)
}
