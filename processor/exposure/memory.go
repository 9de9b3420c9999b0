package exposure

import (
	"maps"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Tombstone stands for a dropped event: it keeps what the event proved about
// devices, names and passwords, and its place in time.
type Tombstone struct {
	ID               string    `json:"id"`
	Time             time.Time `json:"time"`
	Name             string    `json:"name"`
	User             string    `json:"user,omitempty"`
	NewUser          string    `json:"new_user,omitempty"`
	Serial           string    `json:"serial,omitempty"`             // in one case
	From             string    `json:"from,omitempty"`               // an address of the user, shown by a sign-in with MFA
	Privileged       bool      `json:"privileged,omitempty"`         // of a rename: the user stays privileged
	Foreign          bool      `json:"foreign,omitempty"`            // a device that may be an intruder's
	Elsewhere        bool      `json:"elsewhere,omitempty"`          // a device that the user enabled from an address not known
	EnabledByAnother bool      `json:"enabled_by_another,omitempty"` // a device that another identity than the user enabled
}

// tombstoneOf returns the tombstone of an event; ok is false if the event
// proved nothing.
func tombstoneOf(e *trail.Event) (m Tombstone, ok bool) {
	if e.Failed() {
		return Tombstone{}, false
	}
	m = Tombstone{ID: e.ID, Time: e.Time, Name: e.Name, User: e.User, NewUser: e.NewUser, Serial: FoldName(e.Serial)}
	switch e.Name {
	case trail.DeleteVirtualMFADevice:
		m.Name = trail.DeactivateMFADevice
		return m, true
	case trail.EnableMFADevice, trail.ResyncMFADevice, trail.DeactivateMFADevice,
		trail.CreateUser, trail.UpdateUser, trail.DeleteUser, trail.DeleteLoginProfile, trail.Closed:
		return m, true
	case trail.CheckMfa:
		m.Serial = ""
		return m, true
	case trail.ConsoleLogin:
		m.Name, m.Serial = trail.CheckMfa, ""
		return m, Rank(e) == ranks[trail.CheckMfa]
	}
	return Tombstone{}, false
}

// event returns the event that the fold sees in place of the dropped one.
func (m Tombstone) event() *trail.Event {
	e := &trail.Event{ID: m.ID, Time: m.Time, Name: m.Name, User: m.User, NewUser: m.NewUser, Serial: m.Serial}
	e.Actor.SourceIP = m.From
	if m.EnabledByAnother {
		e.Actor.Type = "Unknown" // nothing more is kept
	}
	return e
}

// Memory holds what a subject remembers of events that are not kept.
type Memory struct {
	Tombstones []Tombstone       // in order of time
	Counters   []Counter         // in order of time
	Paths      map[string]string // of users within IAM, by folded name; never changed
}

// Merge returns the Memory of the subject that two subjects have become.
func (m Memory) Merge(o Memory) Memory {
	paths := m.Paths
	if len(o.Paths) > 0 {
		paths = maps.Clone(o.Paths)
		for name, path := range m.Paths {
			paths[name] = max(path, paths[name])
		}
	}
	m = Memory{slices.Concat(m.Tombstones, o.Tombstones), slices.Concat(m.Counters, o.Counters), paths}
	slices.SortStableFunc(m.Tombstones, func(a, b Tombstone) int { return a.Time.Compare(b.Time) })
	slices.SortStableFunc(m.Counters, compareCounters)
	return m
}

// IsZero reports whether m holds nothing.
func (m Memory) IsZero() bool {
	return len(m.Tombstones) == 0 && len(m.Counters) == 0 && len(m.Paths) == 0
}
