package exposure

import (
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// title is the step in one short sentence: who, what, where.
func (x *Exposure) title(m *Moment) string {
	e, user, in := m.Event, who(m.user, x.Root), place(x.Partition, x.Account)
	switch m.Step {
	case Opened:
		return removed("their own MFA", "MFA", e, user, in)
	case Reduced:
		return removed("one of their MFA devices", "One of several MFA devices", e, user, in)
	case Updated:
		if e.Name == trail.DeactivateMFADevice {
			return removed("another MFA device", "Another MFA device", e, user, in)
		}
		return change(e, user) + in + " after MFA was removed"
	case Exploited:
		return upper(user) + " signed in without MFA" + in
	case Escalated:
		return "Still no MFA device enabled for " + user + in + " after " + span(m.Time.Sub(x.openSince))
	}
	switch m.resolution {
	case Enabled:
		return upper(user) + " has MFA again" + in
	case MFASeen:
		return upper(user) + " signed in with MFA" + in + ": a device remains"
	case UserDeleted:
		return upper(user) + " was deleted" + in + ", MFA never came back"
	}
	if e == x.first {
		return "The MFA removal from " + user + in + " is part of another one"
	}
	return upper(user) + " kept MFA" + in + ": another device was active"
}

// removed is a removal as a title, by the user or by somebody else.
func removed(own, what string, e *trail.Event, user, in string) string {
	if e.Actor.Self {
		return upper(user) + " removed " + own + in
	}
	by := ""
	if e.Actor != (trail.Actor{}) {
		by = " by " + actor(&e.Actor)
	}
	return what + " removed from " + user + in + by
}

// change is what was done to credentials or rights, as a title begins.
func change(e *trail.Event, user string) string {
	what := shortName(e.Detail)
	switch e.Name {
	case trail.DeleteLoginProfile:
		return "Password of " + user + " deleted"
	case trail.CreateLoginProfile:
		return "Password created for " + user
	case trail.UpdateLoginProfile:
		return "Password of " + user + " changed"
	case trail.CreateAccessKey:
		return "Access key created for " + user
	case trail.AttachUserPolicy, trail.PutUserPolicy:
		if what == "" {
			return "A policy given to " + user
		}
		return "Policy " + what + " given to " + user
	case trail.AddUserToGroup:
		if what == "" {
			return upper(user) + " added to a group"
		}
		return upper(user) + " added to group " + what
	}
	return Clean(e.Name, maxName) + " called for " + user
}

// sentences gathers a summary.
type sentences []string

func (s *sentences) say(parts ...string) {
	if text := sentence(strings.Join(parts, "")); text != "" {
		*s = append(*s, text)
	}
}

// sentence makes one of text, if there is any.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return capital(text) + "."
}

// end says what lies in the telling.
func (s sentences) end(p *Policy, e *Expected, more reasons) string {
	if more&(expected|overdue) != 0 && e != nil {
		by := ""
		if e.Approver != "" {
			by = ", approved by " + Clean(e.Approver, maxName)
		}
		s.say("Announced in ", Clean(e.Ticket, maxName), by)
	}
	if more&late != 0 {
		s.say("Told more than ", span(p.LateAfter), " after it happened")
	}
	return strings.Join(s, " ")
}

// summary goes on where the title ends: what exactly, who did it, how and from
// where, how it stands and why it is that bad, and what to do now. The step's
// own time stands in the alert, not here.
func (x *Exposure) summary(m *Moment, more reasons) string {
	e, first := m.Event, x.first
	var s sentences
	switch m.Step {
	case Resolved:
		x.ending(m, &s)
		return s.end(x.policy, x.expected, more)
	case Opened, Reduced:
		s.say(theDevice(e.Serial), " was removed", doer(&e.Actor))
	case Updated:
		switch does := doer(&e.Actor); {
		case e.Name == trail.DeactivateMFADevice:
			s.say(theDevice(e.Serial), " was removed", does)
		case e.Name == trail.CreateAccessKey && e.Detail != "":
			s.say("Key ", Clean(e.Detail, maxName), " created", does)
		case does != "":
			s.say("It was done", does)
		}
		if e != first {
			s.say("MFA removed ", clock(first.Time, e.Time), by(&first.Actor))
		}
	case Exploited:
		if f := from(&e.Actor); f != "" {
			s.say("Signed in", f)
		}
		where := from(&trail.Actor{SourceIP: first.Actor.SourceIP})
		if where != "" && first.Actor.SourceIP == e.Actor.SourceIP {
			where = " from the same address"
		}
		s.say(theDevice(first.Serial), " was removed ", clock(first.Time, e.Time), by(&first.Actor), where)
	case Escalated:
		s.say(theDevice(first.Serial), " was removed ", clock(first.Time, m.Time), doer(&first.Actor))
	}
	s.say(x.because(m))
	s.say(x.advice(m))
	return s.end(x.policy, x.expected, more)
}

// ending says how it came to its end, who ended it, and how long it lasted.
func (x *Exposure) ending(m *Moment, s *sentences) {
	e, first := m.Event, x.first
	does := by(&e.Actor) + from(&e.Actor)
	switch m.resolution {
	case Enabled:
		verb := " was enabled"
		if e.Name == trail.ResyncMFADevice {
			verb = " was shown to work"
		}
		s.say(theDevice(e.Serial), verb, does)
		if !e.Actor.Self && does != "" {
			s.say("Check that it is really the user's")
		}
	case MFASeen:
		s.say("The sign-in", from(&e.Actor), " proves it")
	case UserDeleted:
		if e.Name != trail.DeleteUser {
			s.say("The name went to another user", does, ", so the former one is gone")
		} else if does != "" {
			s.say("It was done", does)
		}
	case Replaced:
		if e == first {
			s.say("It is told there: ", theDevice(first.Serial), " was removed ", clock(first.Time, m.Time), by(&first.Actor))
		} else {
			s.say("A late record shows ", theDevice(e.Serial), ", active already ", clock(e.Time, m.Time), ": ",
				theDevice(first.Serial), ", removed", by(&first.Actor), ", was replaced")
		}
	}
	if m.resolution != Replaced {
		s.say("The exposure lasted ", span(m.Time.Sub(x.OpenedAt)), ", since ", theDevice(first.Serial), " was removed", by(&first.Actor))
	}
	switch {
	case x.Exploited && x.Changed:
		s.say("Meanwhile somebody signed in without MFA and access was changed: review both")
	case x.Exploited:
		s.say("Meanwhile somebody signed in without MFA: review what was done")
	case x.Changed:
		s.say("Meanwhile credentials or rights were changed: review them")
	}
}

// because says how it stands and thereby why the severity is what it is: the
// factors that really raise or lower it (see severity).
func (x *Exposure) because(m *Moment) string {
	if m.rule != "" {
		return byRule(m.Severity, m.rule)
	}
	why := factors(m.reasons)
	switch {
	case m.Step == Exploited:
		why = append(why, "the password was enough to sign in")
	case m.reasons&exploited != 0:
		why = append(why, "somebody signed in without MFA")
	}
	if m.reasons&changed != 0 {
		why = append(why, "access was changed")
	}
	whom := them(m.user, x.Root)
	switch closed := m.closed; {
	case m.reasons&exploited != 0, closed && m.reasons&changed != 0:
	case closed:
		why = append(why, "the password is deleted: only access keys may still work")
	case m.protection == ProtectionOtherDevice && m.foreign:
		why = append(why, "what is left was not enabled by "+whom+": it may be an intruder's")
	case m.protection == ProtectionOtherDevice:
		why = append(why, "another device still protects "+whom)
	case m.Step == Updated:
		why = append(why, "no other device is known")
	default:
		why = append(why, "no other device is known: the password may be all that protects "+whom)
	}
	return string(m.Severity) + " because " + list(why)
}

// phrases say, in the order of ReasonWords, the reasons that move a severity and
// lie in whom it hit. The others are told in sentences of their own, or move none.
var phrases = [...]string{
	0: "this is the root user", 1: "the user is privileged", 13: "several users were hit", 16: "",
}

// byRule is the reason where a rule of the policy made the severity.
func byRule(v Severity, rule string) string {
	return string(v) + " because a rule says so: " + strings.TrimRight(Clean(rule, maxDetail), ". ")
}

// factors are the phrases of r.
func factors(r reasons) []string {
	var why []string
	for i, p := range phrases {
		if p != "" && r&(1<<i) != 0 {
			why = append(why, p)
		}
	}
	return why
}

// advice says what to do now; nothing where nothing is to be done.
func (x *Exposure) advice(m *Moment) string {
	if m.Step == Resolved {
		return ""
	}
	a := &m.Event.Actor
	if m.Step == Escalated {
		a = &x.first.Actor
	}
	whose := who(m.user, x.Root)
	ask := "ask " + whose
	if a.Type == "IAMUser" && !a.Self && a.Name != "" {
		ask += " or " + actor(a)
	}
	switch {
	case m.reasons&(exploited|changed) != 0 && x.Root:
		return "assume an intrusion: recover root; see what was done"
	case m.reasons&(exploited|changed) != 0:
		return "assume an intrusion: disable password, keys and sessions; see what was done"
	case m.Step == Reduced && a.Self:
		return ""
	case m.user == "" && !x.Root:
		return "find out whose device it was, and if it was meant; the log cannot show when this is over"
	case m.Step == Reduced && m.foreign:
		return ask + " if it was meant; if not, remove that device, and disable the password and access keys of " + whose
	case m.Step == Reduced:
		return ask + " if it was meant"
	case x.Root:
		return "ask who holds root if it was meant; if not, recover the account now"
	case m.closed:
		return "if it was not meant, disable the access keys of " + whose
	}
	return ask + " if it was meant; if not, disable the password and access keys of " + whose
}

// maxNamed bounds the users that a sentence names.
const maxNamed = 5

func (w *Wave) root() bool {
	for _, x := range w.Exposures {
		if x.Root {
			return true
		}
	}
	return false
}

// whom are the reasons that lie in who was hit.
func (w *Wave) whom() (r reasons) {
	for _, x := range w.Exposures {
		r |= x.reasons & (root | privileged)
	}
	return r
}

func (w *Wave) title(s Step, m *Moment) string {
	users, who, in := strconv.Itoa(w.Users)+" users", actor(&w.Actor), place(w.Partition, w.Account)
	switch s {
	case Escalated:
		return "Still no MFA for " + strconv.Itoa(w.Open) + " of " + users + in + " after " + span(m.Time.Sub(w.First)) + ", removed by " + who
	case Resolved:
		return "The campaign of " + who + " against " + users + in + " is over"
	}
	return upper(who) + " removed MFA from " + users + in
}

func (w *Wave) summary(step Step, m *Moment, v Severity, rule string, r reasons) string {
	var s sentences
	if step == Resolved {
		switch {
		case len(w.Exposures) == 0:
			s.say("It was none: fewer users than it takes lost their MFA for good. Who is still without it is told one by one")
		default:
			s.say("Each of its exposures is over: ", w.names())
			s.say("It lasted ", span(m.Time.Sub(w.First)))
		}
		return s.end(w.policy, nil, r)
	}
	within := ""
	if d := w.Last.Sub(w.First); d > 0 {
		within = " within " + span(d)
	}
	s.say("MFA was taken from ", w.names(), within, doer(&w.Actor))
	if open := w.Open; open < w.Users {
		s.say(strconv.Itoa(open), " of them have none now")
	}
	if rule != "" {
		s.say(byRule(v, rule))
	} else {
		why := factors(r)
		if r&exploited != 0 {
			why = append(why, "somebody signed in without MFA")
		}
		if r&changed != 0 {
			why = append(why, "access was changed")
		}
		s.say(string(v), " because ", list(why))
	}
	s.say(w.advice(step))
	return s.end(w.policy, nil, r)
}

// names are the first users, and how many more.
func (w *Wave) names() string {
	var parts []string
	persons := map[*person]bool{}
	for _, x := range w.Exposures {
		if len(parts) == maxNamed {
			break
		}
		if !persons[x.person] {
			parts = append(parts, who(x.User, x.Root))
		}
		persons[x.person] = true
	}
	if more := w.Users - len(parts); more > 0 {
		parts = append(parts, strconv.Itoa(more)+" more")
	}
	return list(parts)
}

func (w *Wave) advice(s Step) string {
	if s == Resolved {
		return ""
	}
	return "find out at once if " + actor(&w.Actor) + " was meant to; if not, cut " + actor(&w.Actor) + " off, then disable the passwords and keys of these users"
}
