package trail

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/processor/trail/vector"
)

// checkBlocks holds a walk in leaps, which goes in blocks, against one in steps that
// are too short for them, over whatever doc is.
func checkBlocks(t *testing.T, doc []byte) {
	t.Helper()
	var leaps, steps walk
	leaps.reset()
	steps.reset()
	for _, part := range []int{3, 2, 1} {
		to := len(doc)/part - 2
		for at := steps.pos; at < to; {
			at = min(to, max(at, steps.pos)+fewBlocks-1)
			steps.to(doc, at, false)
		}
		leaps.to(doc, to, false)
		if leaps.pos != steps.pos || leaps.cut() != steps.cut() || leaps.within != steps.within || leaps.record != steps.record || leaps.read != steps.read ||
			leaps.wrappers != steps.wrappers || leaps.loose != steps.loose || leaps.restarted != steps.restarted || !slices.Equal(leaps.stack, steps.stack) {
			t.Fatalf("to %d in leaps: at %d, %+v,\nin steps: at %d, %+v,\nin %q", to, leaps.pos, leaps.position, steps.pos, steps.position, doc)
		}
		if leaps.strings(doc, to, false) != steps.strings(doc, to, false) {
			t.Fatalf("to %d: one stands in a string, in %q", to, doc)
		}
	}
}

func FuzzBlocks(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(shape(rand.New(rand.NewPCG(seed, 17))))
	}
	f.Add(trailtest.New(1).Object(3, 0))
	f.Fuzz(func(t *testing.T, doc []byte) {
		checkBlocks(t, doc)
		checkBlocks(t, slices.Concat([]byte(`{"Records":[{"a":{"b":"`), bytes.Repeat(doc, 1+2000/(len(doc)+1)), []byte(`"}}]}`)))
	})
}

// TestBlocks damages documents in one place.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	damage := []string{"", `"`, `\`, `{`, `}`, "{}", `},`, "\n", ` `, `"{`, `}"`, `\"`, `":{"`, `"},{"`, "\f", "}]"}
	m := trailtest.New(3)
	rounds := 20_000
	if trailtest.Short() {
		rounds = 5_000
	}
	for range rounds {
		doc := string(m.Object(1+r.IntN(4), 0))
		at := r.IntN(len(doc))
		doc = doc[:at] + damage[r.IntN(len(damage))] + doc[min(len(doc), at+r.IntN(3)):]
		if r.IntN(8) == 0 {
			doc = strings.Repeat(doc, 2)
		}
		checkBlocks(t, []byte(doc))
	}
}

func TestBlocksAreUsed(t *testing.T) {
	if !vector.Fast {
		t.Skip("the processor lacks the instructions")
	}
	doc := []byte(`{"Records":[` + strings.Repeat(minimal+",", 100) + minimal + "]}")
	var k walk
	k.reset()
	k.to(doc, 100, false)
	if at := k.blocks(doc, k.sure, len(doc)); at < len(doc)-2*vector.Size {
		t.Errorf("blocks end at %d of %d", at, len(doc))
	}
}
