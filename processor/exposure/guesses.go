package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// guesses are the failed sign-ins of an exposed user. The first ones and the latest
// are kept; those in between are a number.
type guesses struct {
	times  []time.Time // of the last ones, until they are alerted
	count  int         // since the first of those alerted; 0: none is
	kept   int         // the first ones
	latest *item       // of those after; nil: there are none
	more   int         // those in between
}

// signInFailed counts a failed sign-in of an exposed user (J8).
func (f *folder) signInFailed(it *item) {
	e := it.ev
	if e.User == "" {
		return
	}
	p := f.byName(e.User)
	it.p = p
	x := p.open
	if x == nil {
		return
	}
	it.x = x
	g := &x.guesses
	if g.kept == maxGuesses-1 {
		if g.latest != nil {
			g.latest.excess = true
			g.more++
		}
		g.latest = it
		return
	}
	g.kept++
	if n := g.add(e.Time); n > 0 {
		x.Steps = append(x.Steps, x.guessed(n, e))
		x.reasons |= HasGuessing
	}
}

func (x *Exposure) guessed(n int, e *trail.Event) Moment {
	m := x.StepBy(Updated, e)
	m.Guesses = n
	m.Reasons |= HasGuessing
	return m
}

// add counts a failed sign-in and returns the number if it has to be alerted;
// else 0.
func (g *guesses) add(at time.Time) int {
	if g.count > 0 {
		g.count++
		if n := g.count / firstGuesses; g.count%firstGuesses == 0 && n&(n-1) == 0 {
			return g.count
		}
		return 0
	}
	for len(g.times) > 0 && at.Sub(g.times[0]) > guessesWithin {
		g.times = g.times[1:]
	}
	if g.times = append(g.times, at); len(g.times) < firstGuesses {
		return 0
	}
	g.count, g.times = firstGuesses, nil
	return g.count
}

// isGuess reports whether e is a failed sign-in.
func isGuess(e *trail.Event) bool { return e.Name == trail.ConsoleLogin && e.Failed() }

// dropGuesses adds the failed sign-ins that need not be kept: those beyond the
// bound of an exposure, of which the number is, and of users without one all but
// the last ones, for a removal that arrives late.
func (f *folder) dropGuesses(gone map[string]bool, now time.Time) {
	var kept map[*identity]int
	for i := len(f.items) - 1; i >= 0; i-- {
		it := &f.items[i]
		if !isGuess(it.ev) {
			continue
		}
		if kept == nil {
			kept = map[*identity]int{}
		}
		if it.x == nil {
			kept[it.p]++
		}
		if it.excess || it.x == nil && (now.Sub(it.ev.Time) >= guessesKept || kept[it.p] > maxGuesses) {
			gone[it.ev.ID] = true
		}
	}
}

// ExcessGuesses returns how many failed sign-ins are counted and not kept from now on.
func (x *Exposure) ExcessGuesses() int { return x.guesses.more }

// GuessedStep returns the step that reports the failed sign-ins, of which excess are
// counted and not kept; nil if the next number to be reported is not reached, or not
// above the last one reported.
func (x *Exposure) GuessedStep(excess, reported int) *Moment {
	g := &x.guesses
	if g.latest == nil {
		return nil
	}
	total, reached := g.count+excess+1, 0
	for n := firstGuesses; n <= total; n *= 2 {
		reached = n
	}
	if reached <= max(g.count, reported) || !x.Open() {
		return nil
	}
	m := x.guessed(reached, g.latest.ev)
	return &m
}
