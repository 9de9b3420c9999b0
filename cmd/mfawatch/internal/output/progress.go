package output

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A Progress shows on a terminal how far a scan has come; anywhere else it
// shows nothing. It may be used from several goroutines at once.
type Progress struct {
	bar *progressbar.ProgressBar

	mu      sync.Mutex
	total   int64
	endless bool // something is read whose size nobody knows
}

// NewProgress returns a progress on stderr, which shows nothing where that is no
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

// Expect makes the way longer by so many bytes, or endless if n is negative.
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

// Known says that no more is to be expected.
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

// Finish takes the bar off the screen.
func (p *Progress) Finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
