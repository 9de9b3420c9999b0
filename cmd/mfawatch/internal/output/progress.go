package output

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A Progress shows the progress of a scan on a terminal, and nothing elsewhere. Its
// methods are safe for concurrent use.
type Progress struct {
	bar *progressbar.ProgressBar

	mu      sync.Mutex
	total   int64
	endless bool // an input has no known size
}

// NewProgress returns a progress on stderr, which shows nothing unless that is a
// terminal.
func NewProgress(stderr io.Writer) *Progress {
	if !IsTerminal(stderr) {
		return &Progress{}
	}
	return &Progress{bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetDescription("scanning"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// Shown reports whether the progress is shown.
func (p *Progress) Shown() bool { return p.bar != nil }

// Expect adds n bytes to the total, or makes it unknown if n is negative.
func (p *Progress) Expect(n int64) {
	if p.bar == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.endless:
	case n < 0:
		p.endless = true
		p.bar.ChangeMax64(-1)
	default:
		p.total += n
		p.bar.ChangeMax64(p.total + 1) // not at the end while there may be more
	}
}

// Known marks the total as complete.
func (p *Progress) Known() {
	if p.bar == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.endless && p.total > 0 {
		p.bar.ChangeMax64(p.total)
	}
}

// Add moves the progress by n bytes.
func (p *Progress) Add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

// Finish removes the bar.
func (p *Progress) Finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
