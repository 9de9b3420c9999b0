package exposure

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// identity is one incarnation of one user: root, or the time from CreateUser to
// DeleteUser of a name, across renames (R12, R24, R25).
type identity struct {
	key               string // its current name, folded
	name              string // its current name as written
	path              string // within IAM, where known
	root              bool
	matchesPrivileged bool         // the policy's Privileged match it
	passwordDeletion  *trail.Event // the deletion of the current password; nil: there may be one
	active            []device     // devices known active, oldest first
	doubted           time.Time    // when one was removed that is foreign, or enabled elsewhere
	open              *Exposure    // nil: none
	reduced           *Exposure    // the last one since a device was last proved, unless open
	closed            *item        // a person closed the last exposure, and no device was proved since; nil: no
	ended             *item        // the event that ended the incarnation

	created *trail.Event // CreateUser; nil: not seen
	proofs  proofs       // when a device was last proved, since the last removal
	places  []place      // where it signed in with MFA, the latest last
	recent  []*item      // changes by others within preludeTime
	given   map[givenKey]*given
}

// device is a device known active, with its proof.
type device struct {
	serial  string // in one case
	proof   *item
	another bool // enabled by another identity, however often it answered a resync since
	foreign bool // so enabled, and not by an enroller or the user's creator

	elsewhere bool // enabled by the user, or who has their access key, from an address not known
}

func (p *identity) hasDoubtful() bool {
	return slices.ContainsFunc(p.active, func(d device) bool { return d.foreign || d.elsewhere })
}

// privileged reports whether p is root or matched by the policy. Its severities
// are one level higher (R28).
func (p *identity) privileged() bool { return p.root || p.matchesPrivileged }

// reasons returns the reasons that lie in the identity.
func (p *identity) reasons() Reasons {
	switch {
	case p.root:
		return HasRoot
	case p.privileged():
		return HasPrivileged
	}
	return 0
}

// activate records an active device. Without a serial nothing could refer to it
// later, so nothing is recorded.
func (p *identity) activate(serial string, proof *item) {
	if serial == "" {
		return
	}
	p.deactivate(serial)
	p.active = append(p.active, device{serial: FoldName(serial), proof: proof})
}

// allEnabledByAnother reports whether every active device is known to have been
// enabled by another identity than the user, possibly an intruder.
func (p *identity) allEnabledByAnother() bool {
	return !slices.ContainsFunc(p.active, func(d device) bool { return !d.another })
}

// enabledByAnother reports whether another identity than the user is known to
// have caused e.
func enabledByAnother(e *trail.Event) bool {
	return !e.Actor.Self && e.Actor != (trail.Actor{})
}

// createdBy reports whether the actor of e created p a short time before: a
// joiner's device may be enabled with the user (J3).
func (p *identity) createdBy(e *trail.Event) bool {
	if p.created == nil || e.Time.Sub(p.created.Time) > 24*time.Hour {
		return false
	}
	by := &p.created.Actor
	return *by == (trail.Actor{}) || actorKey(by) == actorKey(&e.Actor) // nothing more is kept of a dropped event
}

// activeAt returns the place of a device among the active ones, -1 if it is not known
// to be.
func (p *identity) activeAt(serial string) int {
	serial = FoldName(serial)
	return slices.IndexFunc(p.active, func(d device) bool { return d.serial == serial })
}

// deactivate records an inactive device and returns it if it was known active.
func (p *identity) deactivate(serial string) (d device) {
	if i := p.activeAt(serial); i >= 0 {
		d = p.active[i]
		p.active = slices.Delete(p.active, i, i+1)
	}
	return d
}

// directory finds the identities of one account by their names at the current
// point of the fold.
type directory struct {
	paths        map[string]string // by name, where known
	names        map[string]*identity
	deviceOwners map[string]*identity // by serial: the last identity seen with it
}

func newDirectory(paths map[string]string) directory {
	return directory{paths: paths, names: map[string]*identity{}, deviceOwners: map[string]*identity{}}
}

// newIdentity returns the identity with the name, of which a failed call may have
// made up the spelling.
func newIdentity(name string) *identity {
	p := &identity{key: FoldName(name), name: name}
	if p.root = p.key == FoldName(trail.RootUser); p.root {
		p.name = trail.RootUser
	}
	return p
}

// FoldName folds a user name to one case (R12), and the serial of a device: the record
// has it as the caller wrote it.
func FoldName(name string) string { return strings.ToLower(name) }

// byName returns the identity with the name, a new one if none is known.
func (d *directory) byName(name string) *identity {
	key := FoldName(name)
	p := d.names[key]
	if p == nil || p.ended != nil {
		p = newIdentity(name)
		p.path = d.paths[key]
		d.names[key] = p
	}
	return p
}

// target returns the identity that an event concerns: by name, else by the
// serial if an earlier record held both (R22); nil if unknown (R10).
func (d *directory) target(e *trail.Event) *identity {
	if e.User != "" {
		return d.byName(e.User)
	}
	if p := d.deviceOwners[FoldName(e.Serial)]; e.Serial != "" && p != nil && p.ended == nil {
		return p
	}
	return nil
}

// assignDevice records p as the owner of a device, and takes it from the former
// owner: the name of a deleted device can be used again.
func (d *directory) assignDevice(serial string, p *identity) {
	serial = FoldName(serial)
	if h := d.deviceOwners[serial]; h != nil && h != p {
		h.deactivate(serial)
	}
	d.deviceOwners[serial] = p
}

// releaseName frees a name that the record proves to be free, and returns its
// identity unless the name was a former one: that identity no longer exists
// (R25).
func (d *directory) releaseName(name string) *identity {
	key := FoldName(name)
	p := d.names[key]
	delete(d.names, key)
	if p == nil || p.key != key {
		return nil
	}
	return p
}

// rename gives p a further name. Former names still lead to p, since sessions
// from before the rename keep them, until another identity takes them.
func (d *directory) rename(p *identity, name string) {
	p.key, p.name = FoldName(name), name
	if path := d.paths[p.key]; path != "" {
		p.path = path
	}
	d.names[p.key] = p
}

// pathOf returns the user's path within IAM from an ARN, such as /ops/; "" for
// an ARN that is not a user's.
func pathOf(arn string) string {
	i := strings.Index(arn, ":user/")
	if i < 0 {
		return ""
	}
	path := arn[i+len(":user"):]
	return path[:strings.LastIndexByte(path, '/')+1]
}

// pathsOf finds the paths of users, by folded name, from their own calls: a
// record shows the path of the actor, never that of the target (R11). before
// holds the paths from dropped events; known is the part to keep. Users without
// a path are in neither. A path that makes its user privileged stays: an intruder
// would move them first.
func (p *Policy) pathsOf(items []item, before map[string]string) (seen, known map[string]string) {
	seen, known = before, before
	copied := false
	own := func() {
		if !copied {
			copied = true
			seen, known = map[string]string{}, map[string]string{}
			maps.Copy(seen, before)
			maps.Copy(known, before)
		}
	}
	for i := range items {
		e := items[i].ev
		if items[i].tombstone {
			continue
		}
		if e.Actor.Type == "IAMUser" && e.Actor.Name != "" {
			name := FoldName(e.Actor.Name)
			had := known[name]
			switch path := pathOf(e.Actor.ARN); {
			case path == "" || path == had:
			case had != "" && p.privileged(e.Partition, e.Account, name, had) && !p.privileged(e.Partition, e.Account, name, path):
			case path != "/":
				own()
				seen[name], known[name] = path, path
			case had != "": // it was moved
				own()
				delete(known, name)
			}
		}
		if len(known) == 0 || e.Failed() {
			continue
		}
		switch e.Name {
		case trail.DeleteUser:
			if name := FoldName(e.User); known[name] != "" {
				own()
				delete(known, name)
			}
		case trail.UpdateUser:
			if path := known[FoldName(e.User)]; path != "" && e.NewUser != "" {
				own()
				delete(known, FoldName(e.User))
				seen[FoldName(e.NewUser)], known[FoldName(e.NewUser)] = path, path
			}
		}
	}
	return seen, known
}
