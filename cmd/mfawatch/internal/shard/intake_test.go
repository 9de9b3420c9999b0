package shard

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// An object's records are in any order, and the owner of their lane may fold after
// some of them: the events of one delivery come to it in the order of time.
func TestIntakeIsInOrderOfTime(t *testing.T) {
	_, c := fake(t)
	r := start(t, c, "a", t.TempDir())
	all := events("111122223333", 50)
	given := slices.Clone(all)
	rand.Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
	if n, err := r.Append(t.Context(), given); n != len(all) || err != nil {
		t.Fatal(n, err)
	}
	for i, value := range committed(t, c, c.events(), len(all)) {
		e, err := journal.DecodeEvent([]byte(value))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("111122223333-%d", i); e.ID != want {
			t.Fatalf("event %d is %s, want %s", i, e.ID, want)
		}
	}
}
