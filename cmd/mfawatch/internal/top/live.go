package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// How often the service is looked at, and the size of the terminal.
const (
	lookEvery   = 2 * time.Second
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

// A Screen is a terminal: its keys, and where frames are drawn, in colours or plain.
type Screen struct {
	In      io.Reader
	Out     io.Writer
	Colours bool
}

// Live shows the service at an address until a person ends it or ctx is done: first
// the overview o, then what look returns. While the service cannot be reached, it shows
// the last overview and why that is out of date.
func (s Screen) Live(ctx context.Context, address string, o web.Overview, look func() (web.Overview, error)) {
	restore, keys := s.rawInput()
	defer restore()
	fmt.Fprint(s.Out, enterScreen)
	defer fmt.Fprint(s.Out, leaveScreen)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	looks := make(chan looked)
	go lookOften(ctx, look, looks)
	resize := time.NewTicker(resizeEvery)
	defer resize.Stop()
	problem := ""
	size := s.size()
	for {
		s.draw(Frame(o, address, problem, size, s.Colours))
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return
			case key := <-keys:
				if strings.ContainsRune("qQ\x03\x04", rune(key)) { // 3 and 4 are Ctrl-C and Ctrl-D
					return
				}
			case l := <-looks:
				if problem = ""; l.err != nil {
					problem = l.err.Error()
				} else {
					o = l.overview
				}
				wait = false
			case <-resize.C:
				now := s.size()
				wait = now == size
				size = now
			}
		}
	}
}

// lookOften sends what it sees until ctx is done.
func lookOften(ctx context.Context, look func() (web.Overview, error), looks chan<- looked) {
	tick := time.NewTicker(lookEvery)
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
func (s Screen) rawInput() (restore func(), keys <-chan byte) {
	in, ok := s.In.(*os.File)
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

// size returns the size of the terminal, or that of a common one.
func (s Screen) size() Size {
	if out, ok := s.Out.(*os.File); ok {
		if columns, lines, err := term.GetSize(int(out.Fd())); err == nil && columns > 0 && lines > 0 {
			return Size{Columns: columns, Lines: lines}
		}
	}
	return Size{Columns: 80, Lines: 24}
}

// draw writes lines over those that are on the screen, in one write.
func (s Screen) draw(lines []string) {
	var b strings.Builder
	b.WriteString(cursorHome)
	for i, text := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(clearLine + text) // behind a full line, it would clear its last character
	}
	b.WriteString(clearBelow)
	_, _ = io.WriteString(s.Out, b.String())
}
