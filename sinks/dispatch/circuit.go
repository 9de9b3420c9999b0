package dispatch

import (
	"time"

	"github.com/mfawatch/mfawatch/sinks"
)

// circuitAfter is how many exposures have to fail, with no delivery in between, for
// the channel to count as down. A poison alert counts once, however often it
// fails.
const circuitAfter = 5

// graveEvery is how often an alert of at least high severity is tried while the circuit
// is open: a flood of them does not hammer the channel.
const graveEvery = time.Second

// A circuit keeps a worker from hammering a channel that is down: while it is
// open, one alert is tried at a time, with a wait before each. An alert of at least high
// severity is tried once without that wait: texts that the channel does not accept keep
// it open, too.
type circuit struct {
	failed map[string]bool // lanes that failed since the channel last answered
	open   bool
	wrong  bool      // the last answer was that the sink is misconfigured
	probes int       // that failed since it opened
	next   time.Time // probe, while it is open
	grave  time.Time // none of at least high severity is tried before
	cause  error
}

// fail counts a failed attempt, and reports whether it opened the circuit. wait
// returns how long to wait before probe number n. Lanes that fail by themselves say
// nothing of the channel.
func (c *circuit) fail(a *attempt, now time.Time, wait func(n int) time.Duration) (opened bool) {
	c.cause = a.err
	if c.failed == nil {
		c.failed = map[string]bool{}
	}
	for _, l := range a.lanes {
		if len(c.failed) < circuitAfter && l.sick == 0 {
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
	v, _ := sinks.VerdictOf(a.err)
	c.wrong = c.wrong && v == sinks.VerdictMisconfigured
	c.next = now.Add(wait(c.probes))
	return opened
}

// refuse opens the circuit immediately: every other alert would fail, too. An alert
// that was tried meanwhile does not put the next probe off. wait returns how long to
// wait before probe number n.
func (c *circuit) refuse(a *attempt, now time.Time, wait func(n int) time.Duration) (opened bool) {
	opened = !c.open || !c.wrong
	if opened {
		c.probes = 0
	} else if a.probe {
		c.probes++
	}
	if opened || a.probe {
		c.next = now.Add(wait(c.probes))
	}
	c.open, c.wrong, c.cause = true, true, a.err
	return opened
}

// answer closes the circuit, and reports whether it was open. An answer that
// refuses the alert closes it, too.
func (c *circuit) answer() (closed bool) {
	closed = c.open
	*c = circuit{}
	return closed
}

// mayProbe reports whether a probe may be started: when it is due, and one at a time.
func (c *circuit) mayProbe(running int, now time.Time) bool {
	return running == 0 && !now.Before(c.next)
}

// blocks reports whether nothing may be started.
func (c *circuit) blocks(running int, now time.Time) bool {
	return c.open && !c.mayProbe(running, now) && now.Before(c.grave)
}
