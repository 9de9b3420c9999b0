package sinks

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/safetext"
)

// Permanent says that the channel will never take this alert: it becomes a dead
// letter. It returns nil for nil, as all the verdicts do.
func Permanent(err error) error { return WithVerdict(err, VerdictPermanent, 0) }

// Throttled says that the channel wants nothing from us for a while: the whole
// sink waits for after, or for as long as a retry would where after is not over
// zero. A wait of more than a minute is doubted with new critical alerts. The alert
// is sent again however often that happens, unless others are delivered meanwhile: it
// is then retried as without a verdict, not before after.
func Throttled(err error, after time.Duration) error {
	return WithVerdict(err, VerdictThrottled, after)
}

// Misconfigured says that it is we who are set up wrong, whatever the alert: a
// key that is refused, a permission that is missing. The whole sink pauses, and
// tries one alert now and then to see whether it was set right. No alert is
// given up for it, however long that takes, except one that fails while others are
// delivered: it is retried as without a verdict.
func Misconfigured(err error) error { return WithVerdict(err, VerdictMisconfigured, 0) }

// ClosedByPerson says that a person ended the exposure at the channel: a ticket
// that was closed, a conversation that was deleted. The alert counts as delivered, and
// the channel is sent no more of this exposure, unless it opens again or turns critical.
func ClosedByPerson(err error) error { return WithVerdict(err, VerdictClosedByPerson, 0) }

// Ambiguous says that the alert may have arrived: the answer to it was lost. It
// is sent again, as without a verdict, and counted apart. A channel without a
// key against duplicates looks before it sends again.
func Ambiguous(err error) error { return WithVerdict(err, VerdictAmbiguous, 0) }

// Verdict is the meaning of the error of a Send for the alert.
type Verdict string

// The verdicts, each a value of the result label.
const (
	VerdictDelivered      Verdict = "delivered"
	VerdictRetry          Verdict = "retry"
	VerdictAmbiguous      Verdict = "ambiguous"
	VerdictThrottled      Verdict = "throttled"
	VerdictPermanent      Verdict = "permanent"
	VerdictMisconfigured  Verdict = "misconfigured"
	VerdictClosedByPerson Verdict = "closed_by_person"
)

// Verdicts lists every verdict.
var Verdicts = []Verdict{VerdictDelivered, VerdictRetry, VerdictAmbiguous, VerdictThrottled, VerdictPermanent, VerdictMisconfigured, VerdictClosedByPerson}

type verdictError struct {
	error
	verdict Verdict
	after   time.Duration // throttled: how long
}

func (e verdictError) Unwrap() error { return e.error }

// WithVerdict returns err with the verdict v, nil for nil.
func WithVerdict(err error, v Verdict, after time.Duration) error {
	if err == nil {
		return nil
	}
	return verdictError{err, v, after}
}

// VerdictOf returns the verdict of the error of a Send, and for how long the
// channel asked to be left alone.
func VerdictOf(err error) (Verdict, time.Duration) {
	if err == nil {
		return VerdictDelivered, 0
	}
	if e, ok := errors.AsType[verdictError](err); ok {
		return e.verdict, e.after
	}
	return VerdictRetry, 0
}

// OfOne marks a failure that is about one of several recipients, such as a
// channel that is archived: the others may well be delivered.
func OfOne(err error) error { return ofOne{err} }

type ofOne struct{ error }

func (e ofOne) Unwrap() error { return e.error }

// IsOfOne reports whether err was marked by OfOne.
func IsOfOne(err error) bool {
	_, is := errors.AsType[ofOne](err)
	return is
}

// Worst joins the failures of several who are sent the same alert, nil if there
// are none. Its verdict is the one that has most to be heeded. Where others were
// notified, what is set up wrong for one of them is Permanent: for them the exposure
// has to go on.
func Worst(errs []error, delivered bool) error {
	if len(errs) == 0 {
		return nil
	}
	order := []Verdict{VerdictPermanent, VerdictClosedByPerson, VerdictMisconfigured, VerdictRetry, VerdictAmbiguous, VerdictThrottled}
	worst, after, level := VerdictPermanent, time.Duration(0), 0
	var said []string
	for _, err := range errs {
		v, wait := VerdictOf(err)
		if v == VerdictMisconfigured && delivered && IsOfOne(err) {
			v = VerdictPermanent
		}
		if i := slices.Index(order, v); i > level {
			worst, level = v, i
		}
		after = max(after, wait)
		said = append(said, err.Error())
	}
	err := errs[0]
	if len(errs) > 1 {
		err = errors.New(safetext.Clean(strings.Join(said, "; "), 1000))
	}
	return WithVerdict(err, worst, after)
}
