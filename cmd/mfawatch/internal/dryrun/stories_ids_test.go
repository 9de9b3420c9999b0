package dryrun

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// Records that are read together, or that arrive in the order of their times, give
// one set of IDs: however they are shuffled, and however often they come. A step
// that was alerted before an earlier record arrived keeps the ID that it got then:
// the stories for which this gives other IDs are logged.
func TestStoryIDs(t *testing.T) {
	paths := storyPaths(t)
	random := rand.New(rand.NewPCG(11, 12))
	var differ []string
	if !trailtest.Whole() {
		paths = slices.DeleteFunc(paths, func(string) bool { return random.IntN(4) > 0 })
		t.Logf("%d stories; MFAWATCH_TEST_LONG=1 tries all", len(paths))
	}
	for _, path := range paths {
		_, s := openStory(t, path)
		ids := func(lines []storyLine) []string {
			t.Helper()
			other := *s
			other.lines = lines
			all, _, err := other.play(false)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, a := range all {
				ids = append(ids, a.Alert.ID)
			}
			slices.Sort(ids)
			return slices.Compact(ids)
		}
		shuffled := slices.Clone(s.lines)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if together, other := ids(seenAt(s.lines, s.until, 0)), ids(seenAt(append(shuffled, s.lines...), s.until, 0)); !slices.Equal(other, together) {
			t.Errorf("%s: read together in another order and twice: %q, want %q", storyName(path), other, together)
		}
		if inTurn, twice := ids(s.lines), ids(append(slices.Clone(s.lines), s.lines...)); !slices.Equal(twice, inTurn) {
			t.Errorf("%s: twice: %q, want %q", storyName(path), twice, inTurn)
		}
		slices.Reverse(shuffled)
		forward := ids(seenAt(s.lines, s.until, time.Millisecond))
		if backward := ids(seenAt(shuffled, s.until, time.Millisecond)); !slices.Equal(backward, forward) {
			differ = append(differ, storyName(path))
		}
	}
	t.Logf("one by one in another order, other IDs in %d of %d stories: %v", len(differ), len(paths), differ)
}

// seenAt returns lines as they are when they are seen from a time on, each a step
// after the other.
func seenAt(lines []storyLine, from time.Time, step time.Duration) []storyLine {
	lines = slices.Clone(lines)
	for i := range lines {
		lines[i].seen = from.Add(time.Duration(i-len(lines)) * step)
	}
	return lines
}
