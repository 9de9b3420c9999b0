package journal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A new critical alert is found with the alerts of its lane, without a look at the
// backlog between them.
func TestUrgentReadsNoBacklog(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	count := 0
	entry := func(user string, severity exposure.Severity) outbox.Entry {
		count++
		a := alert(event("1", user, count))
		a.Severity = severity
		e, err := outbox.NewEntry(a, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	put := func(entries ...outbox.Entry) {
		err := j.store.Commit(store.Change{Do: func(tx *store.Tx) error {
			numbered, err := outbox.Put(tx, entries)
			outbox.Show(j.Outbox, numbered)
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	backlog := func(n int) (all []outbox.Entry) {
		for range n {
			all = append(all, entry(fmt.Sprint("user", count), exposure.High))
		}
		return all
	}
	cost := func() float64 {
		return testing.AllocsPerRun(5, func() {
			if _, _, err := j.Urgent("a", 1, uint64(count-1), 1000); err != nil {
				t.Fatal(err)
			}
		})
	}
	put(entry("eve", exposure.High), entry("eve", exposure.High), entry("bob", exposure.High))
	put(backlog(100)...)
	put(entry("eve", exposure.Critical))
	little := cost()
	put(backlog(2000)...)
	put(entry("bob", exposure.Critical), entry("eve", exposure.Critical))
	if much := cost(); much > 4*little {
		t.Errorf("%v allocations behind 2100 alerts, %v behind 100", much, little)
	}
	var got []uint64
	pending, last, err := j.Urgent("a", 1, uint64(count-2), 1000)
	for _, p := range pending {
		got = append(got, p.Number)
	}
	if want := []uint64{3, 2105, 2, 104, 2106}; err != nil || last != 2106 || !slices.Equal(got, want) {
		t.Errorf("got %v up to %d, %v, want %v", got, last, err, want)
	}
}
