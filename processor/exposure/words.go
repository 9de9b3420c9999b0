package exposure

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// How much of an attacker's text a sentence takes, in bytes.
const (
	maxName   = 80
	maxSerial = 120
	maxAgent  = 100
	maxDetail = 120
)

// title is the step in one sentence.
func (x *Exposure) title(m *Moment) string {
	e := m.Event
	user, in, by := who(m.user, x.Root), place(x.Partition, x.Account), by(&e.Actor)
	switch m.Step {
	case Opened:
		if e.Actor.Self {
			return upper(user) + " removed their own MFA" + in
		}
		return "MFA removed from " + user + in + by
	case Reduced:
		if e.Actor.Self {
			return upper(user) + " removed one of their MFA devices" + in
		}
		return "One of several MFA devices removed from " + user + in + by
	case Updated:
		return done(e, user) + in + by + "; exposed since " + stamp(x.OpenedAt)
	case Exploited:
		return upper(user) + in + " signed in without MFA"
	case Escalated:
		return "Still no MFA device enabled for " + user + in + " after " + span(m.Time.Sub(x.openSince))
	}
	switch m.resolution {
	case Enabled:
		return upper(user) + in + " has MFA again"
	case MFASeen:
		return upper(user) + in + " signed in with MFA: a device remains"
	case UserDeleted:
		return upper(user) + in + ", without MFA, was deleted"
	}
	if e == x.first {
		return "The MFA removal from " + user + in + " is part of another one"
	}
	return upper(user) + in + " had another MFA device all the time"
}

// summary is what happened, who did it, how bad it is and why, and what now.
func (x *Exposure) summary(m *Moment, more reasons) string {
	e := m.Event
	var s []string
	say := func(parts ...string) { s = append(s, strings.Join(parts, "")+".") }
	user := who(m.user, x.Root)

	switch m.Step {
	case Opened, Reduced, Updated:
		say(done(e, user), place(x.Partition, x.Account), " at ", stamp(e.Time), by(&e.Actor))
		say(circumstances(&e.Actor))
	case Exploited:
		say(upper(user), place(x.Partition, x.Account), " signed in to the console without MFA at ", stamp(e.Time), from(&e.Actor))
	case Escalated:
		say("No MFA device was enabled for ", user, place(x.Partition, x.Account), " within ", span(m.Time.Sub(x.openSince)))
	case Resolved:
		say(x.ending(m, user))
	}
	if e != x.first {
		say("It began at ", stamp(x.OpenedAt), ", when ", theDevice(x.first.Serial), " was deactivated", by(&x.first.Actor), from(&x.first.Actor))
	}
	if m.Step == Resolved {
		if m.resolution != Replaced {
			say("It lasted ", span(m.Time.Sub(x.OpenedAt)))
		}
		if m.resolution == Enabled && !e.Actor.Self && e.Actor != (trail.Actor{}) {
			say("It was not the user who enabled it: make sure that the device is theirs")
		}
		if x.Exploited {
			say("Meanwhile somebody signed in without MFA: look at what was done in that session")
		}
		if x.Changed {
			say("Meanwhile credentials or rights of the user were changed: look at whether they should stay")
		}
		return strings.Join(s, " ")
	}
	switch m.protection {
	case ProtectionOtherDevice:
		say("Another device is known to be active, so the user is not without MFA")
	case ProtectionUnknown:
		say("Whether the user has other devices is not known")
	}
	if because := because(m.reasons | more); because != "" {
		say("Severity ", string(m.Severity), ": ", because)
	}
	say(x.advice(m))
	return strings.Join(s, " ")
}

// ending says how it came to its end.
func (x *Exposure) ending(m *Moment, user string) string {
	e, in, at := m.Event, place(x.Partition, x.Account), " at "+stamp(m.Time)
	switch m.resolution {
	case Enabled:
		what := theDevice(e.Serial) + " was enabled for "
		if e.Name == trail.ResyncMFADevice {
			what = theDevice(e.Serial) + " was proved active by a resync for "
		}
		return upper(what) + user + in + at + by(&e.Actor) + from(&e.Actor)
	case MFASeen:
		return upper(user) + in + " signed in with MFA" + at + from(&e.Actor) + ", which proves that a device remains"
	case UserDeleted:
		if e.Name != trail.DeleteUser {
			return "The name of " + user + in + " was given to another user" + at + by(&e.Actor) + ", so the former one is gone"
		}
		return upper(user) + in + " was deleted" + at + by(&e.Actor)
	}
	if e == x.first {
		return "What was told of " + user + in + " turned out to be part of another exposure, which goes on being told"
	}
	return "A record that came late shows that " + user + in + " had another device, " + theDevice(e.Serial) + ", enabled at " +
		stamp(e.Time) + ": the device was replaced, the user was not without MFA"
}

// advice says what now.
func (x *Exposure) advice(m *Moment) string {
	switch {
	case m.Step == Reduced:
		return "Nothing needs to be done if it was meant"
	case m.reasons&(exploited|changed) != 0:
		return "Treat it as an intrusion until it is explained: end the sessions, disable the password and the access keys, and look at what was done"
	case x.consoleClosed && m.Step == Updated && m.Event.Name == trail.DeleteLoginProfile:
		return "The console is closed for the user, access keys may still work: it is over when a device is enabled or the user is deleted"
	case m.user == "":
		return "Find out whom it hit from the record; the log cannot tell when it is over"
	case x.Root:
		return "Ask who uses root whether it was meant; if not, recover the account now. It is over when a device is enabled again"
	}
	return "Ask whether it was meant; if not, disable the user's password and access keys. It is over when a device is enabled again"
}

func (a *Attempt) title() string {
	verb := map[string]string{
		trail.EnableMFADevice:        " to enable an MFA device for ",
		trail.DeleteVirtualMFADevice: " to delete an MFA device of ",
	}[a.first.Name]
	if verb == "" {
		verb = " to remove MFA from "
	}
	times := ""
	if a.Count > 1 {
		times = " " + strconv.Itoa(a.Count) + " times"
	}
	user := who(a.User, a.Root)
	if a.Actor.Self {
		user = "themselves"
	}
	return upper(actor(&a.Actor)) + " tried" + times + verb + user + place(a.Partition, a.Account) + " and failed"
}

func (a *Attempt) summary(more reasons) string {
	s := a.title()
	if a.Count > 1 {
		s += ", from " + stamp(a.First) + " to " + stamp(a.Last)
	} else {
		s += " at " + stamp(a.First)
	}
	s += ". " + circumstances(&a.Actor) + "."
	if len(a.Codes) > 0 {
		s += " Answered with " + Clean(strings.Join(a.Codes, ", "), maxDetail) + "."
	}
	if a.Serial != "" {
		s += " It was about " + theDevice(a.Serial) + "."
	}
	if because := because(a.reasons | more); because != "" {
		s += " Severity " + string(a.Severity) + ": " + because + "."
	}
	return s + " Nothing was changed. Ask whether it was meant; if not, look at what else " + actor(&a.Actor) + " did."
}

// done says what an event did, without who and where.
func done(e *trail.Event, user string) string {
	what := func(thing string) string {
		if e.Detail == "" {
			return map[string]string{"Access key": "An access key", "Policy": "A policy", "group": "a group"}[thing]
		}
		return thing + " " + Clean(e.Detail, maxDetail)
	}
	switch e.Name {
	case trail.DeactivateMFADevice:
		return upper(theDevice(e.Serial)) + " of " + user + " was deactivated"
	case trail.DeleteLoginProfile:
		return "The password of " + user + " was deleted"
	case trail.CreateLoginProfile:
		return "A password was given to " + user
	case trail.UpdateLoginProfile:
		return "The password of " + user + " was changed"
	case trail.CreateAccessKey:
		return what("Access key") + " was created for " + user
	case trail.AttachUserPolicy, trail.PutUserPolicy:
		return what("Policy") + " was given to " + user
	case trail.AddUserToGroup:
		return upper(user) + " was added to " + what("group")
	}
	return Clean(e.Name, maxName) + " was called for " + user
}

// who is the user, in a sentence.
func who(user string, root bool) string {
	switch {
	case root:
		return "the root user"
	case user == "":
		return "an unknown user"
	}
	return Clean(user, maxName)
}

// place is the account, in a sentence, after a space.
func place(partition, account string) string {
	s := " in " + Clean(account, maxName)
	if partition != "aws" && partition != "" {
		s += " (" + Clean(partition, maxName) + ")"
	}
	return s
}

// actor is who did it, in a sentence.
func actor(a *trail.Actor) string {
	if strings.EqualFold(a.Type, "Root") {
		return "the root user"
	}
	for _, s := range []string{a.Name, a.ARN, a.Type} {
		if s != "" {
			return Clean(s, maxName)
		}
	}
	return "an unknown caller"
}

// by is actor after " by ", nothing if nothing is known.
func by(a *trail.Actor) string {
	switch {
	case *a == (trail.Actor{}):
		return ""
	case a.Self:
		return " by the user"
	}
	return " by " + actor(a)
}

// from is where a call came from.
func from(a *trail.Actor) string {
	s := ""
	if a.SourceIP != "" {
		s += " from " + Clean(a.SourceIP, maxName)
	}
	if a.UserAgent != "" && a.UserAgent != a.SourceIP {
		s += " with " + Clean(a.UserAgent, maxAgent)
	}
	return s
}

// circumstances say who the caller was and what the session was worth.
func circumstances(a *trail.Actor) string {
	s := "The caller was " + actor(a)
	if a.Self {
		s = "The caller was the user"
	}
	if a.Type != "" && !strings.EqualFold(a.Type, "Root") {
		s += " (" + Clean(a.Type, maxName) + ")"
	}
	switch {
	case a.AssumedRoot:
		s += ", in an AssumeRoot session"
	case a.MFA == nil && actorReasons(a)&longTermKey != 0:
		s += ", with a long-term access key"
	case a.MFA == nil:
		s += ", in a session of which the record does not say whether it had MFA"
	case *a.MFA:
		s += ", in a session with MFA"
	default:
		s += ", in a session without MFA"
	}
	if f := from(a); f != "" {
		s += "," + f
	}
	return s
}

// theDevice is a device, in a sentence.
func theDevice(serial string) string {
	if serial == "" {
		return "an MFA device"
	}
	kind := map[string]string{
		"virtual": "the virtual MFA device ", "security_key": "the security key ",
		"hardware": "the hardware MFA device ", "sms": "the SMS MFA device ",
	}[trail.DeviceKind(serial)]
	if kind == "" {
		kind = "the MFA device "
	}
	return kind + Clean(serial, maxSerial)
}

// phrases say the reasons in words, in the order of ReasonWords.
var phrases = [...]string{
	"the root user is the target", "the target is privileged", "somebody else than the user did it",
	"in an AssumeRoot session", "in a session without MFA", "the record does not say whether the session had MFA",
	"a long-term access key was used", "it was the only device known", "another device is active",
	"somebody signed in without MFA since", "credentials or rights were changed since", "told late",
	"the user was deleted afterwards", "several users were hit", "it was announced", "the record does not name the user",
}

// because is the reasons in words.
func because(r reasons) string {
	var s []string
	for i, p := range phrases {
		if r&(1<<i) != 0 {
			s = append(s, p)
		}
	}
	return strings.Join(s, ", ")
}

// span is a duration as a person says it, by its largest units.
func span(d time.Duration) string {
	count := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	s := int64(d / time.Second)
	for _, u := range []struct {
		name, lesser string
		size, small  int64
	}{{"day", "hour", 86400, 3600}, {"hour", "minute", 3600, 60}, {"minute", "second", 60, 1}} {
		if s < u.size {
			continue
		}
		text := count(s/u.size, u.name)
		if rest := s % u.size / u.small; rest > 0 {
			text += " " + count(rest, u.lesser)
		}
		return text
	}
	return count(s, "second")
}

// upper begins a sentence. A user's name is left as it is written.
func upper(s string) string {
	for _, word := range []string{"the ", "an ", "a "} {
		if strings.HasPrefix(s, word) {
			r, n := utf8.DecodeRuneInString(s)
			return string(unicode.ToUpper(r)) + s[n:]
		}
	}
	return s
}
