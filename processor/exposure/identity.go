package exposure

import (
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A person is one life of one user: root, or what lies between a CreateUser
// and a DeleteUser of one name, whatever it was renamed to (R12, R24, R25).
type person struct {
	key     string // the name it has now, folded
	name    string // the same as written
	path    string // within IAM, as far as is known
	root    bool
	counts  bool         // for more than others, by the policy
	closing *trail.Event // what deleted the password last; nil: nothing, or there is one again
	active  []device     // devices known active, oldest first
	open    *Exposure    // nil: none
	reduced *Exposure    // the last one since a device was last proved, if not open
	ended   *item        // what ended the life
}

// A device is one known active, and what proved it.
type device struct {
	serial string
	proof  *item
}

// privileged reports whether p counts for more than others, which puts its
// severities one level up. Root does (R28).
func (p *person) privileged() bool { return p.root || p.counts }

// reasons are the factors that lie in who it is.
func (p *person) reasons() reasons {
	switch {
	case p.root:
		return root
	case p.privileged():
		return privileged
	}
	return 0
}

// activate notes a device as known active. Of one without a serial nothing can
// be known later, so it is not noted.
func (p *person) activate(serial string, proof *item) {
	if serial == "" {
		return
	}
	p.forget(serial)
	p.active = append(p.active, device{serial, proof})
}

// strange reports whether all active devices are known to have been enabled by
// somebody else than the user, who may be an intruder.
func (p *person) strange() bool {
	return !slices.ContainsFunc(p.active, func(d device) bool {
		e := d.proof.ev
		return e.Name != trail.EnableMFADevice || !enabledByAnother(e)
	})
}

// enabledByAnother reports whether somebody else than the user did it, as far as
// is known.
func enabledByAnother(e *trail.Event) bool {
	return !e.Actor.Self && e.Actor != (trail.Actor{})
}

// forget notes a device as not active and reports whether it was known active.
func (p *person) forget(serial string) bool {
	i := slices.IndexFunc(p.active, func(d device) bool { return d.serial == serial })
	if i < 0 {
		return false
	}
	p.active = slices.Delete(p.active, i, i+1)
	return true
}

// A directory knows the persons of one account by the names they have at the
// time that the fold has come to.
type directory struct {
	paths   map[string]string // by name, of those that have one
	names   map[string]*person
	holders map[string]*person // by serial: who was last seen with it
}

func newDirectory(paths map[string]string) directory {
	return directory{paths: paths, names: map[string]*person{}, holders: map[string]*person{}}
}

func newPerson(name string) *person {
	return &person{key: foldName(name), name: name, root: name == trail.RootUser}
}

// foldName folds a user name to one case (R12).
func foldName(name string) string { return strings.ToLower(name) }

// named is the person of that name, new if it was not heard of.
func (d *directory) named(name string) *person {
	key := foldName(name)
	p := d.names[key]
	if p == nil || p.ended != nil {
		p = newPerson(name)
		p.path = d.paths[key]
		d.names[key] = p
	}
	return p
}

// target is the person that an event concerns: by name, else by the serial if
// an earlier record named both (R22); nil if it cannot be known (R10).
func (d *directory) target(e *trail.Event) *person {
	if e.User != "" {
		return d.named(e.User)
	}
	if p := d.holders[e.Serial]; e.Serial != "" && p != nil && p.ended == nil {
		return p
	}
	return nil
}

// hold notes that p has, or had until now, the device of that serial. Whoever
// else was last seen with it has it no longer: the name of a deleted device can
// be used again.
func (d *directory) hold(serial string, p *person) {
	if h := d.holders[serial]; h != nil && h != p {
		h.forget(serial)
	}
	d.holders[serial] = p
}

// vacate takes the name from whom has it, since the record proves that it was
// free or is now, and returns that person if it was more than a former name:
// then the person is gone (R25).
func (d *directory) vacate(name string) *person {
	key := foldName(name)
	p := d.names[key]
	delete(d.names, key)
	if p == nil || p.key != key {
		return nil
	}
	return p
}

// rename gives p a name more. The former ones still lead to p, for sessions
// that began before the rename go on under them, until somebody else gets them.
func (d *directory) rename(p *person, name string) {
	p.key, p.name = foldName(name), name
	if path := d.paths[p.key]; path != "" {
		p.path = path
	}
	d.names[p.key] = p
}

// pathOf is the user's path within IAM that an ARN shows, such as /ops/; "" for
// what is no user's.
func pathOf(arn string) string {
	i := strings.Index(arn, ":user/")
	if i < 0 {
		return ""
	}
	path := arn[i+len(":user"):]
	return path[:strings.LastIndexByte(path, '/')+1]
}

// pathsOf finds the paths of users, by folded name, from what they did: a record
// shows the path of who acts, never that of the target (R11). before is what was
// known of dropped events; known is what is to be remembered. A user without a
// path is in neither.
func pathsOf(items []item, before map[string]string) (seen, known map[string]string) {
	seen, known = before, before
	copied := false
	own := func() {
		if !copied {
			copied = true
			seen, known = maps.Clone(before), maps.Clone(before)
			if seen == nil {
				seen, known = map[string]string{}, map[string]string{}
			}
		}
	}
	for i := range items {
		e := items[i].ev
		if items[i].mark {
			continue
		}
		if e.Actor.Type == "IAMUser" && e.Actor.Name != "" {
			switch path := pathOf(e.Actor.ARN); {
			case path == "":
			case path != "/":
				if name := foldName(e.Actor.Name); known[name] != path {
					own()
					seen[name], known[name] = path, path
				}
			case len(known) > 0:
				if name := foldName(e.Actor.Name); known[name] != "" { // it was moved
					own()
					delete(known, name)
				}
			}
		}
		if len(known) == 0 || e.Failed() {
			continue
		}
		switch e.Name {
		case trail.DeleteUser:
			if name := foldName(e.User); known[name] != "" {
				own()
				delete(known, name)
			}
		case trail.UpdateUser:
			if path := known[foldName(e.User)]; path != "" && e.NewUser != "" {
				own()
				delete(known, foldName(e.User))
				seen[foldName(e.NewUser)], known[foldName(e.NewUser)] = path, path
			}
		}
	}
	return seen, known
}
