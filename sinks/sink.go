// Package sinks is who is told: one file for each channel, and the dispatcher
// that feeds them from the journal.
package sinks

import (
	"context"
	"errors"
	"time"

	"github.com/mfawatch/mfawatch/processor"
)

// A Sink hands alerts to one channel. Send may be called again with an alert
// that it already delivered, so it passes the alert's ID on as the channel's
// key against duplicates. ref is what the channel gave for this exposure
// before (a ticket, a message to thread under), "" the first time; newRef is
// kept in its place. An error is tried again unless it says otherwise: see
// Permanent and Throttled. Send is called for one exposure at a time in order;
// for different exposures it may be called at once. It returns soon after ctx
// is done.
type Sink interface {
	Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error)
}

// Permanent says that the channel will never take this alert: it becomes a dead
// letter. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// Throttled says that the channel wants nothing from us for a while: the whole
// sink waits for after, or for as long as a retry would where after is not over
// zero, and the alert is sent again however often that happens. It returns nil
// for nil.
func Throttled(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return throttledError{err, after}
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

type throttledError struct {
	error
	after time.Duration
}

func (e throttledError) Unwrap() error { return e.error }

// A verdict is what the error of a Send says about the alert.
type verdict string

// The verdicts, each a value of the result label.
const (
	told      verdict = "told"
	retry     verdict = "retry"
	throttled verdict = "throttled"
	permanent verdict = "permanent"
)

var verdicts = []verdict{told, retry, throttled, permanent}

// judge reads the verdict, and how long the channel asked to be left alone.
func judge(err error) (verdict, time.Duration) {
	if err == nil {
		return told, 0
	}
	if _, ok := errors.AsType[permanentError](err); ok {
		return permanent, 0
	}
	if t, ok := errors.AsType[throttledError](err); ok {
		return throttled, t.after
	}
	return retry, 0
}
