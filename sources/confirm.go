package sources

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// What rsyslog's omprog and its programs say to each other, where confirmMessages
// is on: the program says confirmed when it is ready, and for each line when that
// is durable; anything else has rsyslog send the line again later. Where
// useTransactions is on too, the lines between two marks are durable at the second
// one, and answered with deferred until then.
// (rsyslog: plugins/external/INTERFACE.md)
const (
	beginMark  = "BEGIN TRANSACTION"
	commitMark = "COMMIT TRANSACTION"
	confirmed  = "OK"
	deferred   = "DEFER_COMMIT"
	alive      = "." // in front of an answer that takes its time
)

// Bounds on what is held of rsyslog's messages.
const (
	lineBytes        = 16 << 20 // of one; what is behind is left out, and told as cut off
	transactionBytes = 8 << 20  // what is more is handled before the mark, which does no harm
)

// A Confirmed reads messages, one a line, from an rsyslog that wants to be told
// when each is durable. What it refuses, rsyslog keeps in its queue and sends
// again: nothing is tried again here.
type Confirmed struct {
	name    string
	r       io.Reader
	w       io.Writer
	log     *slog.Logger
	metrics *metrics
	every   time.Duration // a sign of life while a message is handled; rsyslog waits for 10 s by default
}

var _ Source = (*Confirmed)(nil)

// NewConfirmed returns the source called name, which reads r and answers on w
// with one write each. Nothing else may be written there.
func NewConfirmed(name string, r io.Reader, w io.Writer, o Options) *Confirmed {
	c := &Confirmed{name: name, r: r, w: w, log: o.log(name), metrics: newMetrics(o.Registerer), every: 2 * time.Second}
	c.metrics.begin(name)
	return c
}

// Run answers until r ends or ctx is done; then what is being handled is
// finished and answered. A line without an end is not handled, nor a transaction
// without its mark: rsyslog has not been told that they are durable and sends
// them again.
func (c *Confirmed) Run(ctx context.Context, h processor.Handler) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	lines := make(chan line)
	go readLines(reading, c.r, lines)
	t := transaction{c: c, ctx: context.WithoutCancel(ctx), handle: h}
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
			if err := c.answer(t.line(l.b)); err != nil {
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

// A line is one message, or why there are no more.
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

// A transaction is the messages between two marks; outside of marks, one
// message.
type transaction struct {
	c      *Confirmed
	ctx    context.Context
	handle processor.Handler
	begun  bool
	held   []byte
	ends   []int
	at     int64 // where held begins among all that was read
}

// line takes a message or a mark, and returns the answer.
func (t *transaction) line(b []byte) string {
	switch string(trimLine(b)) {
	case beginMark:
		t.drop()
		t.begun = true
		t.at += int64(len(b))
		return confirmed
	case commitMark:
		answer := t.flush()
		t.begun = false
		t.at += int64(len(b))
		return answer
	}
	t.held = append(t.held, b...)
	t.ends = append(t.ends, len(t.held))
	if t.begun && len(t.held) < transactionBytes {
		return deferred
	}
	if answer := t.flush(); answer != confirmed || !t.begun {
		return answer
	}
	return deferred
}

func trimLine(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

func (t *transaction) drop() {
	t.at += int64(len(t.held))
	t.held, t.ends = t.held[:0], t.ends[:0]
	if cap(t.held) > transactionBytes {
		t.held = nil
	}
}

// flush hands over what is held, and returns what rsyslog is to be told.
func (t *transaction) flush() string {
	defer t.drop()
	if len(t.ends) == 0 {
		return confirmed
	}
	stop := t.c.signsOfLife()
	err := t.handle(t.ctx, processor.Delivery{Source: t.c.name, Parts: documents(stdinPlace, t.at, t.held, t.ends)})
	stop()
	result, answer := resultAcked, confirmed
	if err != nil {
		result, answer = resultFailed, "Error: "+exposure.Clean(strings.Join(strings.Fields(err.Error()), " "), 400)
		t.c.log.Warn("messages could not be handled; rsyslog sends them again", "err", err)
	}
	t.c.metrics.deliveries.WithLabelValues(t.c.name, result).Inc()
	return answer
}

// signsOfLife writes one now and then until stop is called, which waits for the
// end of it.
func (c *Confirmed) signsOfLife() (stop func()) {
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
				_, _ = io.WriteString(c.w, alive) // if it fails, so will the answer
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
