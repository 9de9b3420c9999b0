package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sources"
)

// The protocol of rsyslog's omprog with confirmMessages: the program answers confirmed
// when it is ready, and for each line once that is durable; after any other answer
// rsyslog sends the line again later. With useTransactions, too, the answer to the lines
// between two marks is deferred. They have to be durable by then nevertheless: of a
// transaction that breaks before its end, rsyslog sends only the line again that had no
// answer. See rsyslog's plugins/external/INTERFACE.md and its issue 2420.
const (
	beginMark     = "BEGIN TRANSACTION"
	commitMark    = "COMMIT TRANSACTION"
	confirmed     = "OK"
	deferred      = "DEFER_COMMIT"
	keepAliveMark = "." // in front of an answer that takes its time
)

// lineBytes bounds one message; the rest is dropped and reported as cut off.
const lineBytes = 16 << 20

// Confirmed reads messages, one a line, from rsyslog and confirms each one when it
// is durable. rsyslog keeps refused messages in its queue and sends them again, so
// nothing is retried here.
type Confirmed struct {
	name  string
	r     io.Reader
	w     io.Writer
	log   *slog.Logger
	count *sources.Counters
	every time.Duration // a sign of life while a message is handled; rsyslog waits for 10 s by default

	begun bool  // a transaction
	at    int64 // where the line begins among all that was read
}

var _ sources.Source = (*Confirmed)(nil)

// NewConfirmed returns the source called name, which reads r and answers on w
// with one write each. No other writer may use w.
func NewConfirmed(name string, r io.Reader, w io.Writer, o sources.Options) *Confirmed {
	return &Confirmed{name: name, r: r, w: w, log: o.Log(name), count: sources.NewCounters(name, o.Registerer), every: 2 * time.Second}
}

// Run answers until r ends or ctx is done; then it finishes and answers the message
// under way. A line without an end is not handled, since rsyslog sends it again.
func (c *Confirmed) Run(ctx context.Context, h processor.Handler) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	lines := make(chan line)
	go readLines(reading, c.r, lines)
	handling := context.WithoutCancel(ctx)
	if err := c.answer(confirmed); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-lines:
			if errors.Is(l.err, io.EOF) {
				return nil
			}
			if l.err != nil {
				return fmt.Errorf("read messages: %w", l.err)
			}
			if err := c.answer(c.line(handling, h, l.b)); err != nil {
				return err
			}
		}
	}
}

func (c *Confirmed) answer(text string) error {
	if _, err := io.WriteString(c.w, text+"\n"); err != nil {
		return fmt.Errorf("answer rsyslog: %w", err)
	}
	return nil
}

// A line is one message, or the error that ends them.
type line struct {
	b   []byte
	err error
}

// readLines reads whole lines until r ends or ctx is done. It leaves out what of
// a line is over lineBytes.
func readLines(ctx context.Context, r io.Reader, lines chan<- line) {
	in := bufio.NewReaderSize(r, blockBytes)
	for {
		var l line
		for more := true; more; {
			var piece []byte
			piece, l.err = in.ReadSlice('\n')
			more = errors.Is(l.err, bufio.ErrBufferFull)
			l.b = append(l.b, piece[:min(len(piece), lineBytes-len(l.b))]...)
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return
		}
		if l.err != nil {
			return
		}
	}
}

// line takes a message or a mark, and returns the answer.
func (c *Confirmed) line(ctx context.Context, h processor.Handler, b []byte) string {
	defer func() { c.at += int64(len(b)) }()
	switch string(bytes.TrimRight(b, "\r\n")) {
	case beginMark:
		c.begun = true
		return confirmed
	case commitMark:
		c.begun = false
		return confirmed
	}
	stop := c.keepAlive()
	err := h(ctx, processor.Delivery{Source: c.name, Parts: documents(stdinOrigin, c.at, b, []int{len(b)})})
	stop()
	c.count.Delivered(err)
	if err != nil {
		c.log.Warn("delivery failed; rsyslog sends it again", "err", err)
		return "Error: " + safetext.Clean(strings.Join(strings.Fields(err.Error()), " "), 400)
	}
	if c.begun {
		return deferred
	}
	return confirmed
}

// keepAlive writes one now and then until stop is called, which waits for the
// end of it.
func (c *Confirmed) keepAlive() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(c.every)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				_, _ = io.WriteString(c.w, keepAliveMark) // if it fails, so will the answer
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
