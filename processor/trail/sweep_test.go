package trail

import (
	"math/rand/v2"
	"testing"
)

// TestNextOf holds the search with vectors against that without.
func TestNextOf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"eventName", "ventName", "tN", "N", `\u00`, `\u0`, `\`, "u", `\u0065`, "t", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
	for range 100_000 {
		var w []byte
		for range 1 + r.IntN(12) {
			w = append(w, pieces[r.IntN(len(pieces))]...)
		}
		lo := r.IntN(len(w))
		hi := lo + 1 + r.IntN(len(w)-lo)
		spelt := lo + r.IntN(hi-lo+8)
		if got, want := nextPair(w, lo, spelt, hi), nextInTurns(w, lo, spelt, hi); got != want {
			t.Fatalf("%d, want %d, in %q[%d:%d], escapes from %d", got, want, w, lo, hi, spelt)
		}
	}
}
