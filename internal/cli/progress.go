package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress is a bar on a terminal for something that takes a while. Elsewhere it writes nothing. Safe for concurrent use.
type progress struct {
	screen *screen
	what   string
	format func(int64) string
	began  time.Time
	mu     struct {
		sync.Mutex
		drawn time.Time
		done  int64
		total int64
	}
}

// redrawEvery is often enough to look alive, and seldom enough to cost nothing.
const redrawEvery = 50 * time.Millisecond

// newProgress starts a bar that fills up to total; a total of 0 is unknown and shows a count. format writes an amount.
func newProgress(s *screen, what string, total int64, format func(int64) string) *progress {
	p := &progress{screen: s, what: what, format: format, began: time.Now()}
	p.mu.total = total
	return p
}

// set says how much is done. Calls that follow close on each other are not drawn.
func (p *progress) set(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.done = done
	if p.screen.terminal && time.Since(p.mu.drawn) >= redrawEvery {
		p.mu.drawn = time.Now()
		p.drawLocked()
	}
}

// end removes the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.screen.terminal && !p.mu.drawn.IsZero() {
		fmt.Fprint(p.screen, "\r\x1b[K")
	}
}

func (p *progress) drawLocked() {
	const barWidth = 30
	text := p.format(p.mu.done)
	if p.mu.total > 0 {
		part := min(1, float64(p.mu.done)/float64(p.mu.total))
		full := int(part * barWidth)
		bar := strings.Repeat("█", full) + p.screen.dim(strings.Repeat("░", barWidth-full))
		text = fmt.Sprintf("%s %3.0f%%  %s of %s", bar, part*100, text, p.format(p.mu.total))
	}
	fmt.Fprintf(p.screen, "\r\x1b[K%s %s  %s", p.what, text, p.screen.dim(p.rateLocked()))
}

// rateLocked is how much is done in a second, once that can be told.
func (p *progress) rateLocked() string {
	passed := time.Since(p.began)
	if passed < 4*redrawEvery {
		return ""
	}
	return p.format(int64(float64(p.mu.done)/passed.Seconds())) + "/s"
}
