package exposure

import (
	"cmp"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The bounds of what J8 alerts: further sign-ins without MFA, and failed ones.
const (
	wayAgain      = time.Hour // between two alerts about one prefix
	maxWays       = 64
	guessesWithin = 10 * time.Minute
	firstGuesses  = 10 // from this number on, and at each doubling
	maxGuesses    = 64 // the events kept
	guessesKept   = 2 * time.Hour
)

// ways are the sign-ins without MFA of an exposure.
type ways struct {
	last    string
	alerted map[string]time.Time
}

// further records a sign-in and reports whether it is another way in: from
// another prefix than the one before, and not alerted within the hour.
func (w *ways) further(e *trail.Event) bool {
	prefix := addressPrefix(e.Actor.SourceIP) // whatever the agent says
	began := w.alerted != nil
	same := began && prefix == w.last
	w.last = prefix
	if !began {
		w.alerted = map[string]time.Time{}
	}
	at, known := w.alerted[prefix]
	if same || known && e.Time.Sub(at) < wayAgain || !known && len(w.alerted) >= maxWays {
		return false
	}
	w.alerted[prefix] = e.Time
	return began
}

// signedInWithoutMFA exploits the open exposure, or one that has not been seen
// to begin (R26, J7).
func (f *folder) signedInWithoutMFA(it *item) {
	e, p := it.ev, it.p
	x := cmp.Or(p.open, p.reduced)
	if x == nil {
		x = f.unseen(p, e)
	}
	if x == nil {
		return
	}
	familiar, wasSuspect := x.isFamiliar(e), x.suspect
	it.x = x
	x.evidence++
	x.recognizeBy(e)
	p.open, p.reduced, p.closed = x, nil, nil
	p.active, p.proofs = nil, proofs{} // AWS asks every user with a device for it
	x.foreign, x.proof, x.suspect, x.consoleClosed = nil, nil, false, false
	if x.openSince.IsZero() {
		x.openSince, x.Reduced = e.Time, false
	}
	x.Protection = ProtectionNone
	further := x.ways.further(e) || wasSuspect
	switch {
	case x.Exploited:
		if further {
			x.addStep(Updated, e)
		}
	case x.familiar != nil:
		if !familiar {
			x.harden()
			x.addStep(Updated, e)
		}
	case familiar:
		x.familiar = e
		x.reasons |= HasFamiliarAddress
		x.addStep(Exploited, e)
		f.waits(x)
	default:
		x.Exploited = true
		x.reasons |= HasExploited
		x.addStep(Exploited, e)
	}
}

// unseen returns an exposure that a sign-in without MFA begins; nil if it needs
// none. A user who had a device has lost it, unseen; root always has one (J7),
// and an exposure that a person closed opens anew (J2).
func (f *folder) unseen(p *identity, e *trail.Event) *Exposure {
	had := p.proofs.within(e.Time, f.policy.Retention)
	if p.closed == nil && (p.root && f.policy.RootSignIn == RootSignInOff || !p.root && had == nil) {
		return nil
	}
	x := f.begin(p, e)
	x.openSince = e.Time
	f.addPrelude(x, p, e)
	if had != nil {
		had.basis = x
		x.reasons |= HasRemovalNotSeen
	}
	if p.closed != nil {
		p.closed.basis = x
	}
	return x
}
