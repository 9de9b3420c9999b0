package processor

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A new policy judges open exposures as soon as a reload or a start brings it,
// not at the next evaluation of the one before.
func TestAnotherPolicyJudgesWhatIsOpen(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t)
		patient := exposure.DefaultPolicy()
		patient.EscalateAfter = nil
		r.SetPolicy(patient)
		if err := r.Handle(t.Context(), delivery(inBytes("a", object(record("DeactivateMFADevice", "bob", 1))))); err != nil {
			t.Fatal(err)
		}
		now := time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC)
		if got := r.alerts(t, now); !slices.Equal(got, []string{"opened bob"}) {
			t.Fatalf("alerts %v", got)
		}
		now = now.Add(time.Hour)
		if got := r.alerts(t, now); len(got) > 0 {
			t.Errorf("alerts %v", got)
		}
		if restart {
			r.Processor = newProcessor(r.line, Options{Logger: slog.New(slog.DiscardHandler), Policy: exposure.DefaultPolicy()})
		} else {
			r.SetPolicy(exposure.DefaultPolicy())
		}
		if got := r.alerts(t, now); !slices.Equal(got, []string{"escalated bob"}) {
			t.Errorf("alerts %v, with a restart %t", got, restart)
		}
	}
}
