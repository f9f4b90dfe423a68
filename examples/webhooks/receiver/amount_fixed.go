//go:build fixed

package main

import (
	"fmt"
	"strconv"
	"strings"
)

const version = "2.3.1"

// digits are how many digits come after the point, in currencies that have not two.
var digits = map[string]int{"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "BHD": 3, "KWD": 3, "TND": 3}

// smallestUnits returns "49.90" EUR as 4990, and "500" JPY as 500.
func smallestUnits(amount, currency string) (int64, error) {
	want, special := digits[currency]
	if !special {
		want = 2
	}
	whole, part, _ := strings.Cut(amount, ".")
	if len(part) != want {
		return 0, fmt.Errorf("%w: %q has not the %d digits of %s after the point", errAmount, amount, want, currency)
	}
	return strconv.ParseInt(whole+part, 10, 64)
}
