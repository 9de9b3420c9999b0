package exposure

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Bounds on the events that are kept of one kind: so many of the earliest and of
// the latest. Those in between are a number. With the next one, the latest show
// guesses.
const (
	samples       = 16
	latestSamples = guessesOfCodes - 1
	firstSamples  = samples - latestSamples
)

// Counter stands for the events of one group that are not kept: failed calls by
// one actor on one target, or sign-ins of one user that showed nothing new.
type Counter struct {
	Key   string    `json:"key"`
	From  time.Time `json:"from"` // the first event of the group, kept or not
	To    time.Time `json:"to"`
	Count int       `json:"count"`
	Codes []string  `json:"codes,omitempty"` // sorted

	Guessed bool `json:"guessed,omitempty"` // enough of the group, as it came, were wrong codes within an hour
}

// groupOf returns the group of an event of which only samples are kept, and the
// time between two events from which they are of two groups; "" for an event
// that is always kept. Groups are a function of the event alone, so that one set
// of events has one reduction.
func (f *folder) groupOf(e *trail.Event) (key string, gap time.Duration) {
	user := FoldName(e.User)
	switch {
	case isGuess(e): // see dropGuesses
		return "", 0
	case e.Failed():
		entry := ""
		if p := f.policy.plannedChange(e, e.User, ""); p != nil {
			entry = p.ID()
		}
		return group("denied", actorKey(&e.Actor), Keys(e)[0], e.Name, bareCode(e.ErrorCode), entry), attemptGap
	case Rank(e) == ranks[trail.CheckMfa] && user != "":
		day := strconv.FormatInt(e.Time.Unix()/86400, 10)
		return group("mfa", e.Name, user, e.Serial, day, bucket(addressPrefix(e.Actor.SourceIP), 8), bucket(e.Actor.UserAgent, 4)), math.MaxInt64
	}
	return "", 0
}

func group(parts ...string) string { return strings.Join(parts, "\x00") }

// bucket bounds the number of groups that a caller can make.
func bucket(s string, n uint32) string {
	h := fnv.New32a()
	h.Write([]byte(s))
	return strconv.Itoa(int(h.Sum32() % n))
}

// bareCode returns an error code as one of two that IAM uses for the same (R4).
func bareCode(code string) string { return strings.TrimSuffix(code, "Exception") }

// reduce keeps the samples of each group, and counts the others. The result is a
// function of all events that were ever given, in any order and any splitting,
// as long as each was given once.
func (f *folder) reduce(before []Counter) {
	if len(before) == 0 && len(f.items) <= samples { // no group has more
		return
	}
	groups, gaps := map[string][]*item{}, map[string]time.Duration{}
	most := 0
	for i := range f.items {
		it := &f.items[i]
		if it.tombstone {
			continue
		}
		key, gap := f.groupOf(it.ev)
		if key == "" {
			continue
		}
		groups[key], gaps[key] = append(groups[key], it), gap
		most = max(most, len(groups[key]))
	}
	if len(before) == 0 && most <= samples {
		return
	}
	counted := map[string][]Counter{}
	for _, c := range before {
		counted[c.Key] = append(counted[c.Key], c)
	}
	for key, of := range groups {
		f.counters = append(f.counters, f.sample(key, of, counted[key], gaps[key])...)
		delete(counted, key)
	}
	for _, of := range counted { // of which no event is left
		f.counters = append(f.counters, of...)
	}
	slices.SortFunc(f.counters, compareCounters)
	f.items = slices.DeleteFunc(f.items, func(it item) bool { return it.counted })
}

// chain is a part of a group without a gap.
type chain struct {
	Counter
	items []*item
}

// sample reduces the events of one group, which are in order, and returns its
// counters.
func (f *folder) sample(key string, of []*item, before []Counter, gap time.Duration) (after []Counter) {
	for _, c := range chains(key, of, before, gap) {
		if n := len(c.items) - latestSamples; n > firstSamples {
			c.Guessed = c.Guessed || guessedAmong(c.items)
			for _, it := range c.items[firstSamples:n] {
				it.counted = true
				f.reduced = append(f.reduced, it.ev.ID)
				c.Count++
				c.code(bareCode(it.ev.ErrorCode))
			}
			c.items = slices.Concat(c.items[:firstSamples], c.items[n:])
		}
		if c.Count == 0 {
			continue
		}
		after = append(after, c.Counter)
		if n := len(c.items); n > 0 {
			c.items[n-1].more, c.items[n-1].codes, c.items[n-1].guessed = c.Count, c.Codes, c.Guessed
			for _, it := range c.items[1:] {
				it.dense = true
			}
		}
	}
	return after
}

// chains splits a group where it has a gap. A counter is as dense as its events
// were.
func chains(key string, of []*item, before []Counter, gap time.Duration) (all []*chain) {
	segments := make([]*chain, 0, len(of)+len(before))
	for _, it := range of {
		segments = append(segments, &chain{Counter{Key: key, From: it.ev.Time, To: it.ev.Time}, []*item{it}})
	}
	for _, c := range before {
		c.Codes = slices.Clone(c.Codes)
		segments = append(segments, &chain{c, nil})
	}
	slices.SortStableFunc(segments, func(a, b *chain) int { return a.From.Compare(b.From) })
	for _, s := range segments {
		if n := len(all); n > 0 && s.From.Sub(all[n-1].To) < gap {
			all[n-1].add(s)
			continue
		}
		all = append(all, s)
	}
	return all
}

func (c *chain) add(s *chain) {
	c.items = append(c.items, s.items...)
	c.Count += s.Count
	c.Guessed = c.Guessed || s.Guessed
	if s.To.After(c.To) {
		c.To = s.To
	}
	for _, code := range s.Codes {
		c.code(code)
	}
}

// code adds an error code, and keeps those that sort first.
func (c *Counter) code(code string) {
	i, known := slices.BinarySearch(c.Codes, code)
	if code == "" || known {
		return
	}
	c.Codes = slices.Insert(c.Codes, i, code)
	c.Codes = c.Codes[:min(len(c.Codes), maxCodes)]
}

func compareCounters(a, b Counter) int {
	return cmp.Or(a.From.Compare(b.From), strings.Compare(a.Key, b.Key))
}
