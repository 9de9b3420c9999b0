package files

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// An rsyslogTalk is rsyslog's side: it sends lines, and reads answers.
type rsyslogTalk struct {
	t   *testing.T
	out *io.PipeWriter
	in  *bufio.Reader
}

func confirmTalk(t *testing.T, x *sourcetest.Inbox) (*rsyslogTalk, *Confirmed, func() error) {
	t.Helper()
	in, out := io.Pipe()
	answers, answer := io.Pipe()
	c := NewConfirmed("stdin", in, answer, sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewPedanticRegistry()})
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context(), x.Handle) }()
	talk := &rsyslogTalk{t, out, bufio.NewReader(answers)}
	talk.hears("OK") // it is ready
	return talk, c, func() error { out.Close(); return <-ended }
}

func (r *rsyslogTalk) says(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.out, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rsyslogTalk) hears(want string) {
	r.t.Helper()
	got, err := r.in.ReadString('\n')
	if err != nil || got != want+"\n" {
		r.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestConfirmEachLine(t *testing.T) {
	x := sourcetest.NewInbox()
	rsyslog, _, end := confirmTalk(t, x)
	for _, line := range []string{`{"a":1}`, "no JSON", "", strings.Repeat("x", 70_000)} {
		rsyslog.says(line)
		rsyslog.hears("OK")
		if got := x.All(); !strings.HasSuffix(got[len(got)-1], " "+line+"\n") {
			t.Errorf("said OK to %.20q before it was handled", line)
		}
	}
	if got := x.All(); got[1] != "stdin@8 no JSON\n" {
		t.Errorf("got %q", got[1])
	}
	if _, err := io.WriteString(rsyslog.out, "half a li"); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil || len(x.All()) != 4 {
		t.Errorf("%v, %d lines", err, len(x.All()))
	}
}

// A document that cannot be journalled is refused, and so sent again.
func TestConfirmRefuses(t *testing.T) {
	x := sourcetest.NewInbox()
	x.Fail = func(n int) error {
		if n == 1 {
			return errors.New("journal: no space\nto write")
		}
		return nil
	}
	rsyslog, c, end := confirmTalk(t, x)
	rsyslog.says("{}")
	rsyslog.hears("Error: journal: no space to write")
	rsyslog.says("{}")
	rsyslog.hears("OK")
	if err := end(); err != nil || len(x.All()) != 1 {
		t.Errorf("%v, %q", err, x.All())
	}
	if n := testutil.ToFloat64(c.count.Failed); n != 1 {
		t.Errorf("%v failures counted", n)
	}
}

// A line of a transaction is durable before it is answered: rsyslog does not send
// it again when the transaction breaks behind it.
func TestConfirmTransactions(t *testing.T) {
	x := sourcetest.NewInbox()
	x.Fail = func(n int) error {
		if n == 3 {
			return errors.New("disk full")
		}
		return nil
	}
	rsyslog, _, end := confirmTalk(t, x)
	says := func(line, want string) {
		t.Helper()
		rsyslog.says(line)
		rsyslog.hears(want)
	}
	says("BEGIN TRANSACTION", "OK")
	for i, line := range []string{"1", "2"} {
		says(line, "DEFER_COMMIT")
		if got := x.All(); len(got) != i+1 || !strings.HasSuffix(got[i], " "+line+"\n") {
			t.Errorf("answered before it was handled: %q", got)
		}
	}
	says("3", "Error: disk full")
	// rsyslog begins again with the message that was refused.
	says("BEGIN TRANSACTION", "OK")
	says("3", "DEFER_COMMIT")
	says("COMMIT TRANSACTION", "OK")
	says("BEGIN TRANSACTION", "OK")
	says("COMMIT TRANSACTION", "OK")
	says("4", "OK")
	if !slices.Equal(x.Sizes, []int{1, 1, 1, 1}) {
		t.Errorf("deliveries of %v", x.Sizes)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A message that takes its time is not taken for a program that hangs.
func TestConfirmSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		in, say := io.Pipe()
		c := NewConfirmed("stdin", in, &out, sources.Options{})
		ended := make(chan error)
		go func() {
			ended <- c.Run(t.Context(), func(context.Context, processor.Delivery) error {
				time.Sleep(7 * time.Second)
				return nil
			})
		}()
		if _, err := io.WriteString(say, "{}\n"); err != nil {
			t.Fatal(err)
		}
		_ = say.Close()
		if err := <-ended; err != nil || out.String() != "OK\n...OK\n" {
			t.Errorf("%v, said %q", err, out.String())
		}
	})
}

func TestConfirmEnds(t *testing.T) {
	// rsyslog is gone.
	broken, w := io.Pipe()
	_ = broken.Close()
	if err := NewConfirmed("stdin", strings.NewReader("{}\n"), w, sources.Options{}).Run(t.Context(), sourcetest.NewInbox().Handle); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	// A signal: it ends although the read does not.
	ctx, cancel := context.WithCancel(t.Context())
	in, say := io.Pipe()
	cancel()
	if err := NewConfirmed("stdin", in, io.Discard, sources.Options{}).Run(ctx, sourcetest.NewInbox().Handle); err != nil {
		t.Errorf("got %v", err)
	}
	_ = say.Close()
}
