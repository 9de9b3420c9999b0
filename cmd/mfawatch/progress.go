package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/mfawatch/mfawatch/sources"
)

// A progress shows on a terminal how far a scan has come; anywhere else it
// shows nothing. It may be used from several goroutines at once.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(stderr io.Writer) *progress {
	if !isTerminal(stderr) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(-1,
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

// expect adds up the files at paths, where that can be known, so that the bar
// knows its end.
func (p *progress) expect(paths []string) {
	if p.bar == nil {
		return
	}
	var total int64
	for f, err := range sources.Walk(paths) {
		switch {
		case err != nil: // told when it is to be read
		case f.Size < 0:
			return
		default:
			total += f.Size
		}
	}
	if total > 0 {
		p.bar.ChangeMax64(total)
	}
}

func (p *progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

// finish takes the bar off the screen.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
