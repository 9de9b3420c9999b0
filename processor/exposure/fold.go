package exposure

import (
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A folder folds the events of one account.
type folder struct {
	directory
	policy    *Policy
	known     map[string]string // paths of users that there still are, by name
	items     []item
	exposures []*Exposure          // in order of their beginning
	attempts  []*Attempt           // in order of their beginning
	waves     []*Wave              // in order of their beginning
	lost      map[string]*Exposure // by serial: what lost it
	trying    map[tries]*Attempt   // the last of each kind
}

// fold folds the events of one account, after what dropped ones had proved. What
// only waits until now counts for no campaign yet; now zero: nothing waits.
func fold(events []*trail.Event, st State, policy *Policy, now time.Time) *folder {
	f := &folder{
		policy: policy,
		items:  arrange(events, st.marks),
		lost:   map[string]*Exposure{},
		trying: map[tries]*Attempt{},
	}
	var paths map[string]string
	paths, f.known = pathsOf(f.items, st.paths)
	f.directory = newDirectory(paths)
	for i := range f.items {
		f.apply(&f.items[i])
	}
	f.findWaves(st.told, now)
	for _, x := range f.exposures {
		x.finish()
	}
	for _, w := range f.waves {
		w.Severity, _ = w.judge(Campaign, w.latest(), 0)
	}
	for _, a := range f.attempts {
		a.finish()
	}
	return f
}

// apply is what one event does.
func (f *folder) apply(it *item) {
	e := it.ev
	if e.Failed() {
		switch e.Name {
		case trail.DeactivateMFADevice, trail.EnableMFADevice, trail.DeleteVirtualMFADevice:
			f.attempted(it)
		}
		return // nothing opens, closes or widens (R2)
	}
	switch e.Name {
	case trail.DeactivateMFADevice:
		f.deactivated(it)
		return
	case trail.DeleteVirtualMFADevice:
		f.deviceDeleted(it)
		return
	}
	if e.User == "" {
		return
	}
	switch e.Name {
	case trail.EnableMFADevice, trail.ResyncMFADevice:
		f.enabled(it)
	case trail.ConsoleLogin, trail.CheckMfa:
		f.signedIn(it)
	case trail.CreateUser:
		f.created(it)
	case trail.UpdateUser:
		f.renamed(it)
	case trail.DeleteUser:
		f.deleted(it)
	case trail.DeleteLoginProfile, trail.DeleteAccessKey, trail.UpdateAccessKey,
		trail.CreateLoginProfile, trail.UpdateLoginProfile, trail.CreateAccessKey,
		trail.AttachUserPolicy, trail.PutUserPolicy, trail.AddUserToGroup:
		f.changed(it)
	}
}

// deactivated begins an exposure or joins the open one (R17–R19).
func (f *folder) deactivated(it *item) {
	e := it.ev
	p := f.target(e)
	if p == nil {
		p = &person{} // one of its own, which no name leads to
	}
	it.p, it.name = p, p.name
	last := false
	if e.Serial == "" {
		p.active = nil // it may have been any of them (R5)
	} else {
		last = p.forget(e.Serial) && len(p.active) == 0
		if p.key != "" {
			f.hold(e.Serial, p)
		}
	}
	if it.mark {
		return
	}
	x := p.open
	joins := x != nil
	if !joins {
		f.weigh(p, e)
		x = begin(p, e, f.policy)
		f.exposures = append(f.exposures, x)
		if p.closing != nil {
			x.passwordDeleted(p.closing)
		}
	}
	f.expect(x, e, joins)
	it.x = x
	x.deactivations = append(x.deactivations, e.ID)
	x.reasons |= actorReasons(&e.Actor)
	if last {
		x.reasons |= lastDevice
	}
	f.lost[e.Serial] = x
	switch {
	case joins:
		x.take(Updated, e)
	case len(p.active) > 0:
		x.reasons |= otherDevice
		x.Reduced, x.Protection, x.other = true, ProtectionOtherDevice, p.active[0].proof.ev
		x.take(Reduced, e)
		x.Steps[len(x.Steps)-1].foreign = !e.Actor.Self && p.strange()
		p.reduced = x
	default:
		x.openSince = e.Time
		x.take(Opened, e)
		p.open = x
	}
}

// deviceDeleted attaches to the exposure that lost the device; it opens and
// closes none (R22). A device that could be deleted was not active.
func (f *folder) deviceDeleted(it *item) {
	s := it.ev.Serial
	if s == "" {
		return
	}
	if p := f.holders[s]; p != nil {
		it.p, it.name = p, p.name
		p.forget(s)
	}
	it.x = f.lost[s]
}

// enabled closes an open exposure (R20).
func (f *folder) enabled(it *item) {
	e := it.ev
	p := f.named(e.User)
	it.p = p
	if e.Serial != "" {
		f.hold(e.Serial, p)
		delete(f.lost, e.Serial)
	}
	p.activate(e.Serial, it)
	f.proved(it, Enabled)
}

// proved closes what is open, for a device is known to work.
func (f *folder) proved(it *item, resolution string) {
	p := it.p
	p.reduced = nil
	x := p.open
	if x == nil {
		return
	}
	it.x = x
	p.open = nil
	if resolution == Enabled && !it.mark {
		x.reasons |= actorReasons(&it.ev.Actor)
	}
	x.close(resolution, it.ev)
}

// signedIn closes by proof of a device (R27), or makes use of an exposure
// (R26). Only IAM users and root can say whether they used a device.
func (f *folder) signedIn(it *item) {
	e := it.ev
	if t := e.Actor.Type; t != "" && !strings.EqualFold(t, "IAMUser") && !strings.EqualFold(t, "Root") {
		return
	}
	p := f.named(e.User)
	it.p = p
	p.closing = nil // for there is a password
	switch {
	case e.Name == trail.CheckMfa, e.MFAUsed != nil && *e.MFAUsed:
		f.proved(it, MFASeen)
		return
	case e.MFAUsed == nil:
		return
	}
	x := p.open
	if x == nil {
		x = p.reduced
	}
	if x == nil {
		return
	}
	it.x = x
	p.open, p.reduced = x, nil
	p.active = nil // whoever has a device is asked for it
	if x.openSince.IsZero() {
		x.openSince, x.Reduced = e.Time, false
	}
	x.Protection = ProtectionNone
	if x.Exploited {
		return
	}
	x.Exploited = true
	x.reasons |= exploited
	x.take(Exploited, e)
}

// changed is what was done to credentials and rights while exposed (R23).
func (f *folder) changed(it *item) {
	e := it.ev
	it.p = f.named(e.User)
	switch e.Name {
	case trail.DeleteLoginProfile:
		it.p.closing = e
	case trail.CreateLoginProfile, trail.UpdateLoginProfile:
		it.p.closing = nil
	}
	x := it.p.open
	if x == nil || it.mark {
		return
	}
	it.x = x
	switch e.Name {
	case trail.DeleteAccessKey, trail.UpdateAccessKey:
		return
	case trail.DeleteLoginProfile:
		x.passwordDeleted(e)
		x.take(Updated, e)
		return
	case trail.CreateAccessKey:
		x.changes |= keyCreated
	case trail.CreateLoginProfile:
		x.consoleClosed = false
		x.changes |= otherChange
	default:
		x.changes |= otherChange
	}
	x.Changed = true
	x.reasons |= changed | actorReasons(&e.Actor)
	x.take(Updated, e)
}

// created starts a life. Whoever had the name must be gone (R25).
func (f *folder) created(it *item) {
	f.gone(it, f.vacate(it.ev.User))
	it.p = f.named(it.ev.User)
}

// deleted ends a life (R23, R25).
func (f *folder) deleted(it *item) {
	it.p = f.named(it.ev.User)
	f.gone(it, f.vacate(it.ev.User))
}

// gone closes what was open of a person who is no more.
func (f *folder) gone(it *item, p *person) {
	if p == nil {
		return
	}
	p.ended = it
	if x := p.open; x != nil {
		it.x = x
		x.close(UserDeleted, it.ev)
	}
}

// renamed gives the person a new name (R24). Whoever had that must be gone.
func (f *folder) renamed(it *item) {
	e := it.ev
	p := f.named(e.User)
	it.p = p
	if e.NewUser == "" || foldName(e.NewUser) == p.key {
		return
	}
	for _, x := range []*Exposure{p.open, p.reduced} {
		if x != nil {
			it.x, x.User = x, e.NewUser
		}
	}
	if q := f.names[foldName(e.NewUser)]; q != p {
		f.gone(it, f.vacate(e.NewUser))
	}
	f.weigh(p, e)
	f.rename(p, e.NewUser)
	f.weigh(p, e)
	if x := p.open; x != nil && p.counts {
		x.privileged = true
		x.reasons |= p.reasons()
	}
}

// weigh asks the policy whether p counts for more than others. Who did under a
// former name still does: else an intruder would rename first.
func (f *folder) weigh(p *person, e *trail.Event) {
	p.counts = p.counts || !p.root && f.policy.privileged(e.Partition, e.Account, p.name, p.path)
}
