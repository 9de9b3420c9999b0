package exposure

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The bounds of what is known of a user's addresses (J5), and how long a user
// who signed in from one of them has to enable a device (J4).
const (
	maxPrefixes  = 32
	familiarTime = 15 * time.Minute
	tokenTime    = 36 * time.Hour // for which GetSessionToken gives a session with MFA
)

// place is an address prefix from which a user signed in with MFA.
type place struct {
	prefix netip.Prefix
	last   *item
}

// prefixOf returns the network of an actor's address; the zero Prefix if the address is none or belongs to AWS (J11).
func prefixOf(a *trail.Actor) netip.Prefix {
	addr, err := netip.ParseAddr(a.SourceIP)
	if err != nil || IsCloudShell(a.UserAgent) {
		return netip.Prefix{}
	}
	return network(addr)
}

// network returns the /24 of an address or, for IPv6, its /48.
func network(addr netip.Addr) netip.Prefix {
	bits := 48
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}

// IsCloudShell reports whether a user agent names AWS CloudShell.
func IsCloudShell(agent string) bool { return strings.Contains(agent, "exec-env/CloudShell") }

// learn records a sign-in with MFA. Beyond the bound, the oldest is forgotten. A
// CheckMfa shows nothing: AWS asks for the device of everybody who has the password.
//
// While a device that another identity enabled is active (J3), a sign-in shows
// nothing: it may be theirs. With one that the user enabled elsewhere, it shows no
// address that was not known before.
func (p *identity) learn(it *item) {
	prefix := prefixOf(&it.ev.Actor)
	if !it.tombstone && it.ev.Name != trail.ConsoleLogin || !prefix.IsValid() || slices.ContainsFunc(p.active, func(d device) bool { return d.foreign }) {
		return
	}
	i := slices.IndexFunc(p.places, func(k place) bool { return k.prefix == prefix })
	if i < 0 && !it.tombstone && p.hasDoubtful() {
		return
	}
	if i < 0 && len(p.places) >= maxPrefixes {
		i = 0
	}
	if i >= 0 {
		p.places = slices.Delete(p.places, i, i+1)
	}
	p.places = append(p.places, place{prefix, it}) // the latest is the last
	it.learned = true
}

// knowPlaces records where the user was known when x began. The sign-ins that
// show it are kept as long as x is.
func (x *Exposure) knowPlaces(p *identity, retention time.Duration) {
	x.known = p.known(x.OpenedAt, retention)
	for _, k := range p.places {
		if slices.Contains(x.known, k.prefix) {
			k.last.basis = x
		}
	}
}

// known returns where the user is known at a time.
func (p *identity) known(at time.Time, retention time.Duration) (prefixes []netip.Prefix) {
	for _, k := range p.places {
		if retention <= 0 || at.Sub(k.last.ev.Time) <= retention {
			prefixes = append(prefixes, k.prefix)
		}
	}
	return prefixes
}

// isKnown reports whether the user was known at the actor's address before x.
func (x *Exposure) isKnown(a *trail.Actor) bool {
	prefix := prefixOf(a)
	return prefix.IsValid() && slices.Contains(x.known, prefix)
}

// isElsewhere reports whether e is a user's own call outside a session with MFA, from an
// address that is not one of those known: a thief of an access key makes it, too. With a
// device of their own, they make the session as well.
func (p *identity) isElsewhere(e *trail.Event, known []netip.Prefix) bool {
	mfa := e.Actor.MFA != nil && *e.Actor.MFA && !p.inDoubt(e.Time)
	return e.Actor.Self && !mfa && len(known) > 0 && !slices.Contains(known, prefixOf(&e.Actor))
}

// inDoubt reports whether another's device may have made the user's session with MFA.
func (p *identity) inDoubt(at time.Time) bool {
	return p.open != nil && p.open.wasForeign || p.hasDoubtful() || at.Sub(p.doubted) < tokenTime
}

// isFamiliar reports whether a sign-in without MFA may be the user's on the way
// to a new device: it comes from an address known for the user, and every
// removal came from another one (J4).
func (x *Exposure) isFamiliar(e *trail.Event) bool {
	if x.privileged || x.Reduced || x.Changed || len(x.removals) == 0 || x.openSince.IsZero() || !x.isKnown(&e.Actor) {
		return false
	}
	prefix := prefixOf(&e.Actor)
	return !slices.ContainsFunc(x.removals, func(r *trail.Event) bool {
		by := prefixOf(&r.Actor)
		return !by.IsValid() || by == prefix
	})
}
