package journal

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Accounts with an open exposure are refolded once, and again if that fails; no
// others are.
func TestRefold(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1), event("2", "eve", 2), event("3", "al", 3))
	folds, bad := map[string]int{}, ""
	f := func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		account := events[0].Account
		folds[account]++
		if account == bad {
			panic("no")
		}
		if account != "3" {
			out.Open = []exposure.Open{{ID: account, Account: account}}
		}
		return out
	}
	fold := func() []string {
		clear(folds)
		_, err := j.Fold(t.Context(), time.Now(), f, nil)
		if (err != nil) != (folds[bad] > 0) {
			t.Errorf("got error %v", err)
		}
		return slices.Sorted(maps.Keys(folds))
	}
	if got := fold(); len(got) != 3 {
		t.Errorf("folded %v", got)
	}
	if got := fold(); len(got) > 0 {
		t.Errorf("folded %v", got)
	}
	j.Refold()
	bad = "2"
	if got := fold(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("refolded %v", got)
	}
	if got := fold(); !slices.Equal(got, []string{"2"}) {
		t.Errorf("folded again %v", got)
	}
	bad = ""
	if got := fold(); !slices.Equal(got, []string{"2"}) {
		t.Errorf("folded again %v", got)
	}
	if got := fold(); len(got) > 0 {
		t.Errorf("folded %v", got)
	}
}
