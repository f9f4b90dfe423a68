package message

import "time"

// Index is the place of a message in its log: milliseconds since the Unix epoch shifted left by 16 bits, plus a counter.
// Indexes of a log strictly increase, so an index is also a time. A "last index" anywhere is the highest index already
// dealt with; reading continues strictly after it.
type Index int64

// Beginning lies before every message: reading after it reads a log from its start.
const Beginning Index = -1

const indexCounterBits = 16

// IndexAt returns the first index of the millisecond in which t lies.
func IndexAt(t time.Time) Index { return IndexAtMilli(t.UnixMilli()) }

// IndexAtMilli returns the first index of a millisecond since the Unix epoch.
func IndexAtMilli(ms int64) Index { return Index(ms << indexCounterBits) }

// Milli returns the millisecond since the Unix epoch at which the index was given out.
func (i Index) Milli() int64 { return int64(i) >> indexCounterBits }

// Time returns the time at which the index was given out, in UTC.
func (i Index) Time() time.Time { return time.UnixMilli(i.Milli()).UTC() }
