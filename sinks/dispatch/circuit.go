package dispatch

import "time"

// circuitAfter is how many exposures have to fail, with no delivery in between, for
// the channel to count as down. A poison alert counts once, however often it
// fails.
const circuitAfter = 5

// A circuit keeps a worker from hammering a channel that is down: while it is
// open, one alert is tried at a time, with a wait before each.
type circuit struct {
	failed map[string]bool // lanes that failed since the channel last answered
	open   bool
	wrong  bool      // the last answer was that the sink is misconfigured
	probes int       // that failed since it opened
	next   time.Time // probe, while it is open
	cause  error
}

// fail counts a failed attempt, and reports whether it opened the circuit. wait
// returns how long to wait before probe number n.
func (c *circuit) fail(a *attempt, now time.Time, wait func(n int) time.Duration) (opened bool) {
	c.cause = a.err
	if c.failed == nil {
		c.failed = map[string]bool{}
	}
	for _, l := range a.lanes {
		if len(c.failed) < circuitAfter {
			c.failed[l.name] = true
		}
	}
	switch {
	case c.open && a.probe:
		c.probes++
	case !c.open && len(c.failed) >= circuitAfter:
		c.open, opened = true, true
	default:
		return false
	}
	c.wrong = false
	c.next = now.Add(wait(c.probes))
	return opened
}

// refuse opens the circuit immediately: every other alert would fail, too.
func (c *circuit) refuse(err error, next time.Time) (opened bool) {
	opened = !c.open || !c.wrong
	c.open, c.wrong, c.cause, c.next = true, true, err, next
	return opened
}

// answer closes the circuit, and reports whether it was open. An answer that
// refuses the alert closes it, too.
func (c *circuit) answer() (closed bool) {
	closed = c.open
	*c = circuit{}
	return closed
}

// blocks reports whether nothing may be started. While the circuit is open, only
// a probe is, when it is due, and one at a time.
func (c *circuit) blocks(running int, now time.Time) bool {
	return c.open && (running > 0 || now.Before(c.next))
}
