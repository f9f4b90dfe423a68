package auto

import (
	"context"
	"math/rand"
	randv2 "math/rand/v2"

	"github.com/flux-go/flux/execution"
)

// The functions below stand in for those of math/rand/v2 of the same name, and those named Old… for those of math/rand. In an
// execution both draw from its source, so that a replay draws the same; outside they are those functions. Only the program's
// own calls do so: what a driver draws, to shuffle addresses for one, it does not draw in a replay.

// global is the source outside executions.
var global = randv2.New(globalSource{})

type globalSource struct{}

func (globalSource) Uint64() uint64 { return randv2.Uint64() }

func random() *randv2.Rand {
	if !inside() {
		return global
	}
	return execution.Rand(context.Background())
}

func Int() int                           { return random().Int() }
func IntN(n int) int                     { return random().IntN(n) }
func Int32() int32                       { return random().Int32() }
func Int32N(n int32) int32               { return random().Int32N(n) }
func Int64() int64                       { return random().Int64() }
func Int64N(n int64) int64               { return random().Int64N(n) }
func Uint() uint                         { return random().Uint() }
func UintN(n uint) uint                  { return random().UintN(n) }
func Uint32() uint32                     { return random().Uint32() }
func Uint32N(n uint32) uint32            { return random().Uint32N(n) }
func Uint64() uint64                     { return random().Uint64() }
func Uint64N(n uint64) uint64            { return random().Uint64N(n) }
func Float32() float32                   { return random().Float32() }
func Float64() float64                   { return random().Float64() }
func ExpFloat64() float64                { return random().ExpFloat64() }
func NormFloat64() float64               { return random().NormFloat64() }
func Perm(n int) []int                   { return random().Perm(n) }
func Shuffle(n int, swap func(i, j int)) { random().Shuffle(n, swap) }

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func N[Int integer](n Int) Int {
	if n <= 0 {
		panic("invalid argument to N")
	}
	return Int(random().Uint64N(uint64(n)))
}

// old is the source of math/rand in an execution.
func old() *rand.Rand { return rand.New(oldSource{random()}) }

// oldSource gives what a source of math/rand/v2 gives. It cannot be seeded.
type oldSource struct{ *randv2.Rand }

func (s oldSource) Int63() int64 { return s.Int64() }
func (s oldSource) Seed(int64)   {}

// draw returns what one of two functions gives: in an execution, or outside.
func draw[T any](in func(*rand.Rand) T, out func() T) T {
	if !inside() {
		return out()
	}
	return in(old())
}

func OldInt() int             { return draw((*rand.Rand).Int, rand.Int) }
func OldInt31() int32         { return draw((*rand.Rand).Int31, rand.Int31) }
func OldInt63() int64         { return draw((*rand.Rand).Int63, rand.Int63) }
func OldUint32() uint32       { return draw((*rand.Rand).Uint32, rand.Uint32) }
func OldUint64() uint64       { return draw((*rand.Rand).Uint64, rand.Uint64) }
func OldFloat32() float32     { return draw((*rand.Rand).Float32, rand.Float32) }
func OldFloat64() float64     { return draw((*rand.Rand).Float64, rand.Float64) }
func OldExpFloat64() float64  { return draw((*rand.Rand).ExpFloat64, rand.ExpFloat64) }
func OldNormFloat64() float64 { return draw((*rand.Rand).NormFloat64, rand.NormFloat64) }
func OldIntn(n int) int       { return drawOf((*rand.Rand).Intn, rand.Intn, n) }
func OldInt31n(n int32) int32 { return drawOf((*rand.Rand).Int31n, rand.Int31n, n) }
func OldInt63n(n int64) int64 { return drawOf((*rand.Rand).Int63n, rand.Int63n, n) }
func OldPerm(n int) []int     { return drawOf((*rand.Rand).Perm, rand.Perm, n) }

// drawOf is draw for functions with an argument.
func drawOf[A, T any](in func(*rand.Rand, A) T, out func(A) T, a A) T {
	if !inside() {
		return out(a)
	}
	return in(old(), a)
}

func OldShuffle(n int, swap func(i, j int)) {
	if !inside() {
		rand.Shuffle(n, swap)
		return
	}
	old().Shuffle(n, swap)
}
