package exposure

import "time"

// guesses are the failed sign-ins of an exposed user.
type guesses struct {
	times []time.Time // of the last ones, until they are alerted
	count int         // since the first of those alerted; 0: none is
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
	if n := x.guesses.add(e.Time); n > 0 {
		m := x.step(Updated, e)
		m.guesses = n
		m.reasons |= guessing
		x.Steps = append(x.Steps, m)
		x.reasons |= guessing
	}
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
