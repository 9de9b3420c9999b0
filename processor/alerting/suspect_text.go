package alerting

import (
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// isSignIn reports whether e is a sign-in.
func isSignIn(e *trail.Event) bool { return e.Name == trail.ConsoleLogin || e.Name == trail.CheckMfa }

// theRemoval says what was removed.
func (x exposed) theRemoval(e *trail.Event) string {
	if e.Name == trail.DeleteVirtualMFADevice {
		return theDevice(e.Serial) + " was deleted, which AWS allows only of an unassigned device: no record shows its removal"
	}
	return theDevice(e.Serial) + " was removed"
}

// beginning says how x began, in a sentence about a step at ref.
func (x exposed) beginning(ref time.Time) string {
	if x.First().Name == trail.ConsoleLogin {
		return "No record shows the removal of a device; the first sign-in without MFA was " + clock(x.First().Time, ref)
	}
	return "MFA removed " + clock(x.First().Time, ref) + by(&x.First().Actor)
}

// explainBeginning says how the exposure began that a sign-in exploits.
func (x exposed) explainBeginning(e *trail.Event, s *sentences) {
	first := x.First()
	switch {
	case first == e && x.ReasonSet()&exposure.HasRemovalNotSeen != 0:
		s.add("A device was known before, and no record shows its removal")
		return
	case first == e || first.Name == trail.ConsoleLogin:
		s.add("No removal of a device is known")
		return
	}
	where := from(&trail.Actor{SourceIP: first.Actor.SourceIP})
	switch {
	case exposure.IsCloudShell(first.Actor.UserAgent): // the address is AWS's
		where = " with CloudShell"
	case where != "" && first.Actor.SourceIP == e.Actor.SourceIP:
		where = " from the same address"
	}
	s.add(theDevice(first.Serial), " was removed ", clock(first.Time, e.Time), by(&first.Actor), where)
}

// explainBefore lists the changes before the removal, and how often its actor
// was denied.
func (x exposed) explainBefore(m *exposure.Moment, s *sentences) {
	if x.Denied() > 0 {
		s.add("The call had been denied ", count(x.Denied(), "time"), " before")
	}
	if len(x.Prelude()) == 0 {
		return
	}
	var before []string
	for _, e := range x.Prelude()[:min(len(x.Prelude()), maxNamed)] {
		before = append(before, e.Name+" "+clock(e.Time, m.Time)+by(&e.Actor))
	}
	if more := len(x.Prelude()) - len(before); more > 0 {
		before = append(before, count(more, "more"))
	}
	s.add("Shortly before: ", list(before))
}

// cameBack says how the device came back.
func (x exposed) cameBack(e *trail.Event) string {
	switch {
	case isSignIn(e):
		return " was used in a sign-in"
	case e.Name == trail.ResyncMFADevice:
		return " was shown to work"
	}
	return " was enabled"
}

// explainLeft lists what is left behind.
func (x exposed) explainLeft(m *exposure.Moment, s *sentences) {
	if len(m.Left) == 0 {
		return
	}
	var left []string
	for _, l := range m.Left[:min(len(m.Left), maxNamed)] {
		left = append(left, leftName(l))
	}
	if more := len(m.Left) - len(left); more > 0 {
		left = append(left, count(more, "more"))
	}
	s.add("Still there: ", list(left))
}

// leftName names a credential or right within a sentence.
func leftName(l exposure.AlertLeftBehind) string {
	kind := strings.ReplaceAll(l.Kind, "_", " ")
	if l.ID == "" {
		return "the " + kind
	}
	return kind + " " + shortName(l.ID)
}

// maxChecks bounds the credentials and rights that the checks name.
const maxChecks = 10

// checks lists what to check of a suspect exposure, in order.
func (x exposed) checks(m *exposure.Moment) []string {
	e, whose := m.Event, userName(m.User, x.Root)
	if x.Root {
		whose = "who holds root"
	}
	var list []string
	if !isSignIn(e) {
		list = append(list, "Ask "+whose+", not by mail, whether "+theDevice(e.Serial)+x.cameBack(e)+" "+clock(e.Time, m.Time)+from(&e.Actor)+" is theirs.",
			"If not: remove the device, disable the password and the access keys.")
	} else {
		list = append(list, "Ask "+whose+", not by mail, whether the sign-in"+from(&e.Actor)+" was theirs.",
			"If not: remove every device, disable the password and the access keys.")
	}
	for _, l := range m.Left[:min(len(m.Left), maxChecks)] {
		list = append(list, "Take back "+leftName(l)+", given "+clock(l.Time, m.Time)+".")
	}
	if more := len(m.Left) - maxChecks; more > 0 {
		list = append(list, "Take back "+count(more, "more credential or right", "more credentials or rights")+".")
	}
	if at := x.lastSession(m.Time); !at.IsZero() {
		list = append(list, "Revoke the sessions: they cannot be followed and may live until "+stamp(at.Add(exposure.SessionLength))+".")
	}
	return append(list, "Close it once a person has checked: mfawatch exposures close "+safetext.Clean(x.ID, maxName)+".")
}

// lastSession returns when the last session without MFA began until then.
func (x exposed) lastSession(until time.Time) time.Time {
	var last time.Time
	for i := range x.Steps {
		m := &x.Steps[i]
		began := isSignIn(m.Event) && !m.Event.Failed() || exposure.IsSession(m.Event)
		if began && m.Step != exposure.Suspect && m.Step != exposure.Resolved && !m.Time.After(until) && m.Event.Time.After(last) {
			last = m.Event.Time
		}
	}
	return last
}

// count renders a number of things.
func count(n int, one string, more ...string) string {
	switch {
	case len(more) > 0 && n != 1:
		one = more[0]
	case n != 1 && one != "more":
		one += "s"
	}
	return strconv.Itoa(n) + " " + one
}
