package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// untilSignal returns a context that the first SIGINT or SIGTERM cancels. The second
// one ends the process immediately, which loses nothing that was acknowledged. The
// caller must call stop.
func untilSignal(ctx context.Context, stderr io.Writer) (signalled context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		onSignals(signals, done, cancel, func() {
			fmt.Fprintln(stderr, "mfawatch: second signal: stopped immediately")
			os.Exit(exitFailed)
		})
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel()
	}
}

// sameSignal is how soon a signal after the first one is the same: timeout(1), and
// a terminal with a wrapper between, send one both to the process and to its group.
const sameSignal = 250 * time.Millisecond

// onSignals calls first at the first signal and second at the next one, until done.
func onSignals(signals <-chan os.Signal, done <-chan struct{}, first, second func()) {
	var since time.Time
	for {
		select {
		case <-done:
			return
		case <-signals:
		}
		if since.IsZero() {
			since = time.Now()
			first()
		} else if time.Since(since) >= sameSignal {
			second()
		}
	}
}

// closeTimeout is how long a service may take to close after shutdown_timeout.
const closeTimeout = 10 * time.Second

// exitAfter calls exit when ctx has been done for longer than limit returns, unless
// stop is called before: a disk that hangs cannot keep the process.
func exitAfter(ctx context.Context, limit func() time.Duration, exit func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		timer := time.NewTimer(limit())
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			exit()
		}
	}()
	return func() { close(done) }
}
