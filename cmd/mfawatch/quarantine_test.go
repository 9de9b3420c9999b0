package main

import (
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// The events of a message that its source read again are not said to be none.
func TestQuarantineRetrySays(t *testing.T) {
	for _, tt := range []struct {
		outcome web.Outcome
		want    string
	}{
		{web.Outcome{}, "0 records read, 0 new events"},
		{web.Outcome{Done: 1, Events: 2}, "1 record read, 2 new events"},
		{web.Outcome{Done: 1, Messages: 1}, "1 message read by the source, which journals the events"},
		{web.Outcome{Done: 3, Messages: 2, Events: 1}, "1 record read, 1 new event; 2 messages read by the source, which journals the events"},
	} {
		if got := saidRetried(tt.outcome); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.outcome, got, tt.want)
		}
	}
}
