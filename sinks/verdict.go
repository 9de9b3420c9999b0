package sinks

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Permanent says that the channel will never take this alert: it becomes a dead
// letter. It returns nil for nil, as all the verdicts do.
func Permanent(err error) error { return verdictOf(err, permanent, 0) }

// Throttled says that the channel wants nothing from us for a while: the whole
// sink waits for after, never less, or for as long as a retry would where after
// is not over zero. The alert is sent again however often that happens.
func Throttled(err error, after time.Duration) error { return verdictOf(err, throttled, after) }

// Misconfigured says that it is we who are set up wrong, whatever the alert: a
// key that is refused, a permission that is missing. The whole sink pauses, and
// tries one alert now and then to see whether it was set right. No alert is
// given up for it, however long that takes.
func Misconfigured(err error) error { return verdictOf(err, misconfigured, 0) }

// Superseded says that somebody ended the exposure at the channel: a ticket
// that was closed, a conversation that was deleted. The sink counts as told,
// and is told no more of this exposure, unless it begins anew or turns critical.
func Superseded(err error) error { return verdictOf(err, superseded, 0) }

// Ambiguous says that the alert may have arrived: the answer to it was lost. It
// is sent again, as without a verdict, and counted apart. A channel without a
// key against duplicates looks before it sends again.
func Ambiguous(err error) error { return verdictOf(err, ambiguous, 0) }

// A verdict is what the error of a Send says about the alert.
type verdict string

// The verdicts, each a value of the result label.
const (
	told          verdict = "told"
	retry         verdict = "retry"
	ambiguous     verdict = "ambiguous"
	throttled     verdict = "throttled"
	permanent     verdict = "permanent"
	misconfigured verdict = "misconfigured"
	superseded    verdict = "superseded"
)

var verdicts = []verdict{told, retry, ambiguous, throttled, permanent, misconfigured, superseded}

type verdictError struct {
	error
	verdict verdict
	after   time.Duration // throttled: how long
}

func (e verdictError) Unwrap() error { return e.error }

func verdictOf(err error, v verdict, after time.Duration) error {
	if err == nil {
		return nil
	}
	return verdictError{err, v, after}
}

// VerdictOf is what the error of a Send says, in a word: told, retry, ambiguous,
// throttled, permanent, misconfigured or superseded.
func VerdictOf(err error) string {
	v, _ := judge(err)
	return string(v)
}

// judge reads the verdict, and how long the channel asked to be left alone.
func judge(err error) (verdict, time.Duration) {
	if err == nil {
		return told, 0
	}
	if e, ok := errors.AsType[verdictError](err); ok {
		return e.verdict, e.after
	}
	return retry, 0
}

// OfOne marks a failure that is about one of several recipients, such as a
// channel that is archived: the others may well be told.
func OfOne(err error) error { return ofOne{err} }

type ofOne struct{ error }

func (e ofOne) Unwrap() error { return e.error }

func isOfOne(err error) bool {
	_, is := errors.AsType[ofOne](err)
	return is
}

// worstOf joins the failures of several who are told the same alert, nil if there
// are none. Its verdict is the one that has most to be heeded. Where others were
// told, what is set up wrong for one of them is Permanent: for them the exposure
// has to go on.
func worstOf(errs []error, told bool) error {
	if len(errs) == 0 {
		return nil
	}
	order := []verdict{permanent, superseded, misconfigured, retry, ambiguous, throttled}
	worst, after, level := permanent, time.Duration(0), 0
	var said []string
	for _, err := range errs {
		v, wait := judge(err)
		if v == misconfigured && told && isOfOne(err) {
			v = permanent
		}
		if i := slices.Index(order, v); i > level {
			worst, level = v, i
		}
		after = max(after, wait)
		said = append(said, err.Error())
	}
	err := errs[0]
	if len(errs) > 1 {
		err = errors.New(exposure.Clean(strings.Join(said, "; "), 1000))
	}
	return verdictOf(err, worst, after)
}
