package exposure

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// ranks orders the events of one second, where the log does not tell which came
// first; orderSecond names the exceptions. The order takes the worse reading: a
// device used or enabled in the second of a deactivation does not end it (R21, R27),
// a sign-in without a device exploits it (R26), and another device's Enable is a
// replacement (R31). A password, right or key that may be given again is taken before
// it is given, so that it stands; one with an ID of its own is deleted last.
var ranks = rank([][]string{
	{trail.PathSeen, trail.CreateUser},
	{trail.UpdateUser},
	{trail.CreateVirtualMFADevice},
	{trail.EnableMFADevice},
	{trail.ResyncMFADevice},
	{trail.CheckMfa}, // and ConsoleLogin with a device
	{trail.DeactivateMFADevice},
	{trail.DeleteVirtualMFADevice},
	{trail.CreateAccessKey, trail.CreateServiceSpecificCredential, trail.UploadSSHPublicKey, trail.UploadSigningCertificate},
	{trail.DeleteLoginProfile, trail.DetachUserPolicy, trail.DeleteUserPolicy, trail.RemoveUserFromGroup}, // and the others that take
	{
		trail.CreateLoginProfile, trail.UpdateLoginProfile, trail.UpdateAccessKey, trail.AttachUserPolicy, trail.PutUserPolicy, trail.AddUserToGroup,
		trail.ChangePassword, trail.PasswordRecoveryRequested, trail.PasswordRecoveryCompleted, trail.PasswordUpdated, trail.EmailUpdated,
		trail.PutUserPermissionsBoundary, trail.DeleteUserPermissionsBoundary,
	},
	{trail.DeleteAccessKey, trail.DeleteServiceSpecificCredential, trail.DeleteSSHPublicKey, trail.DeleteSigningCertificate},
	{trail.ConsoleLogin, trail.SwitchRole, trail.CreateOAuth2Token, trail.AuthorizeOAuth2Access},
	{trail.DeleteUser},
	{trail.Closed},
})

// rank numbers the names from 1 on.
func rank(order [][]string) map[string]uint8 {
	ranks := map[string]uint8{}
	for i, names := range order {
		for _, name := range names {
			ranks[name] = uint8(i + 1)
		}
	}
	return ranks
}

// MayBegin reports whether an alert about its user may begin with e. No other
// event needs one by itself.
func MayBegin(e *trail.Event) bool {
	switch e.Name {
	case trail.DeactivateMFADevice, trail.DeleteVirtualMFADevice:
		return true
	case trail.EnableMFADevice:
		return e.Failed() || enabledByAnother(e)
	case trail.ConsoleLogin:
		return !e.Failed() && e.MFAUsed != nil && (e.Root() || !*e.MFAUsed)
	}
	return false
}

// Rank returns an event's place within its second; 0 if it is not folded.
func Rank(e *trail.Event) uint8 {
	switch e.Name {
	case trail.ConsoleLogin:
		if e.MFAUsed != nil && *e.MFAUsed {
			return ranks[trail.CheckMfa]
		}
	case trail.UpdateAccessKey, trail.ChangePassword, trail.PasswordUpdated:
		if does, _ := effectOf(e); does.takes != "" {
			return ranks[trail.DeleteLoginProfile]
		}
	}
	return ranks[e.Name]
}

// MaxAhead is how far the clock of a record may be ahead.
const MaxAhead = 15 * time.Minute

// Protects reports whether e may end an exposure or keep one from beginning: it proves
// a device, begins, ends or renames a user, or takes back what was given.
func Protects(e *trail.Event) bool {
	switch e.Name {
	case trail.EnableMFADevice, trail.ResyncMFADevice, trail.CreateUser, trail.UpdateUser, trail.DeleteUser:
		return !e.Failed()
	}
	does, _ := effectOf(e)
	return !e.Failed() && (does.takes != "" || Rank(e) == ranks[trail.CheckMfa])
}

// item is an event in its place, with the results of the fold.
type item struct {
	ev         *trail.Event
	sec        int64
	rank       uint8
	tombstone  bool      // stands for a dropped event
	privileged bool      // a rename of a user who was privileged, and stays so
	another    bool      // the device was enabled by another identity
	foreign    bool      // the device may be an intruder's, and was enabled with nothing open (J3)
	elsewhere  bool      // the user enabled the device from an address not known
	excess     bool      // a failed sign-in that is only counted
	activated  bool      // a sign-in with a device that was not known
	learned    bool      // a sign-in that shows an address of the user (J5)
	p          *identity // the identity that it concerns
	name       string    // that identity's name then, if the record held only the serial
	x          *Exposure // the exposure that it belongs to
	basis      *Exposure // the last exposure that depends on what it proved
	a          *Attempt  // the attempt that it belongs to, if it failed
	more       int       // the number of events that it stands for, besides itself
	codes      []string  // their error codes
	guessed    bool      // enough of those, and of the samples, were wrong codes within an hour
	counted    bool      // another one stands for it
	dense      bool      // there is no gap before it, since events were counted there
}

// eventKey identifies an event. The name is part of it, so that hand-made
// records with one ID do not hide each other.
type eventKey struct{ id, name string }

// sortEvents returns events and tombstones in fold order, each event once
// (R29). A tombstone hides copies of its event, which has had its effect.
func sortEvents(events []*trail.Event, tombstones []Tombstone) []item {
	items := make([]item, 0, len(events)+len(tombstones))
	at := make(map[eventKey]int, len(events)+len(tombstones))
	buried := make(map[string]bool, len(tombstones))
	for _, m := range tombstones {
		e := m.event()
		buried[e.ID] = true
		items = append(items, item{ev: e, sec: e.Time.Unix(), rank: Rank(e), tombstone: true, foreign: m.Foreign, elsewhere: m.Elsewhere, privileged: m.Privileged})
	}
	for _, e := range events {
		if e == nil {
			continue
		}
		r := Rank(e)
		if r == 0 || buried[e.ID] {
			continue
		}
		it := item{ev: e, sec: e.Time.Unix(), rank: r}
		is := eventKey{e.ID, e.Name}
		i, known := at[is]
		switch {
		case !known:
			at[is] = len(items)
			items = append(items, it)
		case compareCopies(e, items[i].ev) < 0:
			items[i] = it
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		if c := cmp.Compare(a.sec, b.sec); c != 0 {
			return c
		}
		if c := cmp.Compare(a.rank, b.rank); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.ev.ID, b.ev.ID), strings.Compare(a.ev.Name, b.ev.Name))
	})
	return items
}

// compareCopies orders the copies of one event, of which the first is used: by
// origin, and by content if an ID was used twice.
func compareCopies(a, b *trail.Event) int {
	return cmp.Or(
		strings.Compare(a.Origin, b.Origin),
		a.Time.Compare(b.Time),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.User, b.User),
		strings.Compare(a.NewUser, b.NewUser),
		strings.Compare(a.Serial, b.Serial),
		strings.Compare(a.ErrorCode, b.ErrorCode),
		strings.Compare(a.Actor.ARN, b.Actor.ARN),
		strings.Compare(a.Actor.SourceIP, b.Actor.SourceIP),
		bytes.Compare(a.Raw, b.Raw),
	)
}
