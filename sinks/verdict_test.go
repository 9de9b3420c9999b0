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
		errs  []error
		told  bool
		want  verdict
		after time.Duration
	}{
		{nil, true, told, 0},
		{[]error{plain}, false, retry, 0},
		{[]error{Permanent(plain), plain}, true, retry, 0},
		{[]error{plain, Ambiguous(plain), Permanent(plain)}, false, ambiguous, 0},
		{[]error{Throttled(plain, time.Minute), Ambiguous(plain)}, false, throttled, time.Minute},
		{[]error{ours}, false, misconfigured, 0},
		{[]error{ours}, true, permanent, 0},
		{[]error{ours, Misconfigured(plain)}, true, misconfigured, 0},
		{[]error{ours, plain}, true, retry, 0},
	} {
		if v, after := judge(worstOf(tt.errs, tt.told)); v != tt.want || after != tt.after {
			t.Errorf("%v, others told %v: %s after %s, want %s", tt.errs, tt.told, v, after, tt.want)
		}
	}
}
