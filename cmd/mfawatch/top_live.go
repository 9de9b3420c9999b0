package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/top"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// How often the service is looked at, and the size of the terminal.
const (
	topEvery    = 2 * time.Second
	resizeEvery = 200 * time.Millisecond
)

// Sequences of a terminal: another screen without a cursor and the way back, the
// upper left corner, and what clears the rest of a line and of the screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	cursorHome  = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// A looked is the outcome of a look at the service.
type looked struct {
	overview web.Overview
	err      error
}

// topLive shows a service until a person ends it. While the service cannot be
// reached, it shows the last overview and why that is out of date.
func (p *program) topLive(ctx context.Context, address string, o web.Overview, look func() (web.Overview, error)) error {
	restore, keys := p.rawInput()
	defer restore()
	fmt.Fprint(p.stdout, enterScreen)
	defer fmt.Fprint(p.stdout, leaveScreen)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	looks := make(chan looked)
	go lookOften(ctx, look, looks)
	resize := time.NewTicker(resizeEvery)
	defer resize.Stop()
	problem := ""
	size := p.screenSize()
	for {
		p.draw(top.Frame(o, address, problem, size, p.colours()))
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return nil
			case key := <-keys:
				if strings.ContainsRune("qQ\x03\x04", rune(key)) { // 3 and 4 are Ctrl-C and Ctrl-D
					return nil
				}
			case l := <-looks:
				if problem = ""; l.err != nil {
					problem = l.err.Error()
				} else {
					o = l.overview
				}
				wait = false
			case <-resize.C:
				now := p.screenSize()
				wait = now == size
				size = now
			}
		}
	}
}

// lookOften sends what it sees until ctx is done.
func lookOften(ctx context.Context, look func() (web.Overview, error), looks chan<- looked) {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		o, err := look()
		select {
		case <-ctx.Done():
			return
		case looks <- looked{o, err}:
		}
	}
}

// rawInput has the terminal hand over each key, until restore is called. Without a
// terminal there are no keys.
func (p *program) rawInput() (restore func(), keys <-chan byte) {
	in, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return func() {}, nil
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return func() {}, nil // signals still end it
	}
	typed := make(chan byte, 1)
	go func() { // ends with the process: a read of a terminal cannot be cancelled
		for b := make([]byte, 1); ; {
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			typed <- b[0]
		}
	}()
	return func() { _ = term.Restore(int(in.Fd()), before) }, typed
}

// screenSize returns the size of the terminal on standard output.
func (p *program) screenSize() top.Size {
	if out, ok := p.stdout.(*os.File); ok {
		if columns, lines, err := term.GetSize(int(out.Fd())); err == nil && columns > 0 && lines > 0 {
			return top.Size{Columns: columns, Lines: lines}
		}
	}
	return top.Size{Columns: 80, Lines: 24}
}

// draw writes lines over those that are on the screen, in one write.
func (p *program) draw(lines []string) {
	var b strings.Builder
	b.WriteString(cursorHome)
	for i, text := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(clearLine + text) // behind a full line, it would clear its last character
	}
	b.WriteString(clearBelow)
	_, _ = io.WriteString(p.stdout, b.String())
}
