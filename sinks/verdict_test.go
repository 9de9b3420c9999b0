package sinks

import (
	"errors"
	"testing"
	"time"
)

func TestWorstOf(t *testing.T) {
	plain := errors.New("refused")
	ours := Misconfigured(OfOne(errors.New("archived")))
	for _, tt := range []struct {
		errs      []error
		delivered bool
		want      Verdict
		after     time.Duration
	}{
		{nil, true, VerdictDelivered, 0},
		{[]error{plain}, false, VerdictRetry, 0},
		{[]error{Permanent(plain), plain}, true, VerdictRetry, 0},
		{[]error{plain, Ambiguous(plain), Permanent(plain)}, false, VerdictAmbiguous, 0},
		{[]error{Throttled(plain, time.Minute), Ambiguous(plain)}, false, VerdictThrottled, time.Minute},
		{[]error{ours}, false, VerdictMisconfigured, 0},
		{[]error{ours}, true, VerdictPermanent, 0},
		{[]error{ours, Misconfigured(plain)}, true, VerdictMisconfigured, 0},
		{[]error{ours, plain}, true, VerdictRetry, 0},
	} {
		if v, after := VerdictOf(Worst(tt.errs, tt.delivered)); v != tt.want || after != tt.after {
			t.Errorf("%v, others got it %v: %s after %s, want %s", tt.errs, tt.delivered, v, after, tt.want)
		}
	}
}
