package journal

import (
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// An alert that was journalled while the clock was a year ahead keeps no later one
// beyond the retention.
func TestCompactAfterAClockThatWasAhead(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	ahead := time.Now().Add(365 * 24 * time.Hour)
	entry, err := outbox.NewEntry(alert(event("1", "bob", 1)), ahead)
	if err != nil {
		t.Fatal(err)
	}
	err = j.store.Commit(store.Change{Do: func(tx *store.Tx) error {
		numbered, err := outbox.Put(tx, []outbox.Entry{entry})
		outbox.Show(j.Outbox, numbered)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	alertEach(t, j, event("1", "eve", 2))
	done(t, j, "a", 1, 2)
	if err := j.Compact(t.Context(), time.Now().Add(36*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Load("a", 1); err != nil {
		t.Errorf("the alert of the time ahead: %v", err)
	}
	if _, _, err := j.Load("a", 2); err == nil {
		t.Error("the alert after it outlived the retention")
	}
	if err := j.Compact(t.Context(), ahead.Add(36*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Load("a", 1); err == nil {
		t.Error("the alert of the time ahead outlived the retention")
	}
}
