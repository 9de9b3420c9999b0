package alerting

import (
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// title renders the step as one short sentence: who, what, where.
func (x exposed) title(m *exposure.Moment) string {
	e, user, in := m.Event, userName(m.User, x.Root), inTheAccount(x.Policy(), x.Partition, x.Account)
	switch m.Step {
	case exposure.Opened:
		return removed("their own MFA", "MFA", e, user, in)
	case exposure.Reduced:
		return removed("one of their MFA devices", "One of several MFA devices", e, user, in)
	case exposure.Updated:
		return x.updateTitle(m, user, in)
	case exposure.Suspect:
		return upper(user) + " has MFA again" + in + ", but an intruder may hold the device"
	case exposure.Exploited:
		return upper(user) + " signed in without MFA" + in
	case exposure.Escalated:
		return "Still no MFA device enabled for " + user + in + " after " + span(m.Time.Sub(x.OpenSince()))
	}
	switch m.Resolution {
	case exposure.Enabled:
		return upper(user) + " has MFA again" + in
	case exposure.MFASeen:
		return upper(user) + " signed in with MFA" + in + ": a device remains"
	case exposure.Proved:
		return upper(user) + " is protected again" + in + ", from a known address"
	case exposure.UserDeleted:
		if x.Root {
			return "The credentials of the root user were removed" + in
		}
		return upper(user) + " was deleted" + in + ", MFA never came back"
	case exposure.Closed:
		return "The exposure of " + user + in + " was closed by " + actor(&e.Actor)
	}
	switch {
	case x.IsGone():
		return upper(user) + " lost no MFA device" + in + " after all"
	case x.WasForeign():
		return upper(user) + " has MFA again" + in + ": the device that another identity enabled is gone"
	case e == x.First():
		return "The MFA removal from " + user + in + " is part of another one"
	}
	return upper(user) + " kept MFA" + in + ": another device was active"
}

// removed renders a removal as a title, by the user or by another actor.
func removed(own, what string, e *trail.Event, user, in string) string {
	if e.Actor.Self {
		return upper(user) + " removed " + own + in
	}
	by := ""
	if e.Actor != (trail.Actor{}) {
		by = " by " + actorBeside(&e.Actor, user)
	}
	return what + " removed from " + user + in + by
}

// updateTitle renders an update.
func (x exposed) updateTitle(m *exposure.Moment, user, in string) string {
	e := m.Event
	switch {
	case m.Guesses > 0:
		return strconv.Itoa(m.Guesses) + " failed sign-ins as " + user + in + " after MFA was removed"
	case m.Overdue:
		return upper(user) + " signed in without MFA" + in + " and enabled no device"
	case e.Name == trail.ConsoleLogin:
		return upper(user) + " signed in without MFA again" + in
	case e.Name == trail.DeactivateMFADevice, e.Name == trail.DeleteVirtualMFADevice:
		return removed("another MFA device", "Another MFA device", e, user, in)
	}
	if m.Time.Before(x.OpenedAt) {
		return change(e, user) + in + " shortly before MFA was removed"
	}
	return change(e, user) + in + " after MFA was removed"
}

// change renders a change of credentials or rights as the beginning of a title.
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
	case trail.RemoveUserFromGroup:
		return upper(user) + " removed from group " + what
	case trail.DetachUserPolicy, trail.DeleteUserPolicy:
		return "Policy " + what + " taken from " + user
	case trail.SwitchRole:
		return upper(user) + " switched to role " + what
	}
	if text := changeTitles[e.Name]; text != "" {
		return text + user
	}
	return safetext.Clean(e.Name, maxName) + " called for " + user
}

// changeTitles render changes whose user comes last.
var changeTitles = map[string]string{
	trail.UpdateAccessKey:                 "Access key switched on for ",
	trail.ChangePassword:                  "Password changed by ",
	trail.CreateServiceSpecificCredential: "Service credential created for ",
	trail.UploadSSHPublicKey:              "SSH key uploaded for ",
	trail.UploadSigningCertificate:        "Signing certificate uploaded for ",
	trail.PutUserPermissionsBoundary:      "Permissions boundary set for ",
	trail.DeleteUserPermissionsBoundary:   "Permissions boundary taken from ",
	trail.CreateOAuth2Token:               "Command line credentials (aws login) created for ",
	trail.AuthorizeOAuth2Access:           "Command line access (aws login) granted by ",
	trail.PasswordRecoveryRequested:       "Password recovery requested for ",
	trail.PasswordRecoveryCompleted:       "Password recovered for ",
	trail.PasswordUpdated:                 "Password changed of ",
	trail.EmailUpdated:                    "E-mail address changed of ",
}

// sentences collects the sentences of a summary.
type sentences []string

func (s *sentences) add(parts ...string) {
	if text := sentence(strings.Join(parts, "")); text != "" {
		*s = append(*s, text)
	}
}

// sentence makes a sentence of text, if there is any.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return capital(text) + "."
}

// end appends the sentences that depend on the time of the alert, and joins
// all.
func (s sentences) end(p *exposure.Policy, e *exposure.PlannedChange, more exposure.Reasons) string {
	if more&(exposure.HasExpected|exposure.HasOverdue) != 0 && e != nil {
		by := ""
		if e.Approver != "" {
			by = ", approved by " + safetext.Clean(e.Approver, maxName)
		}
		s.add("Announced in ", safetext.Clean(e.Ticket, maxName), by)
	}
	if more&exposure.HasLate != 0 {
		s.add("Reported more than ", span(p.LateAfter), " after it happened")
	}
	return strings.Join(s, " ")
}

// summary continues where the title ends: the exact change, the actor and its
// session and address, the present state, the reasons of the severity, and what
// to do now. It leaves the time of the step to the alert.
func (x exposed) summary(m *exposure.Moment, more exposure.Reasons) string {
	e, first := m.Event, x.First()
	var s sentences
	switch m.Step {
	case exposure.Resolved:
		x.explainEnd(m, &s)
		return s.end(x.Policy(), x.Planned(), more)
	case exposure.Opened, exposure.Reduced:
		s.add(x.theRemoval(e), actorDetails(&e.Actor))
		x.explainBefore(m, &s)
	case exposure.Suspect:
		s.add(theDevice(e.Serial), x.cameBack(e), by(&e.Actor), from(&e.Actor))
		s.add(x.beginning(e.Time))
		x.explainLeft(m, &s)
	case exposure.Updated:
		switch does := actorDetails(&e.Actor); {
		case m.Guesses > 0:
			s.add("Within minutes", from(&e.Actor), ": somebody tries passwords")
		case m.Overdue:
			s.add("The sign-in ", clock(e.Time, m.Time), from(&e.Actor), " came from a known address, but no device followed")
		case e.Name == trail.ConsoleLogin:
			s.add("Signed in", from(&e.Actor))
		case e.Name == trail.DeactivateMFADevice, e.Name == trail.DeleteVirtualMFADevice:
			s.add(theDevice(e.Serial), " was removed", does)
		case e.Name == trail.CreateAccessKey && e.Detail != "":
			s.add("Key ", safetext.Clean(e.Detail, maxName), " created", does)
		case does != "":
			s.add("It was done", does)
		}
		if m.Changes > 0 {
			s.add("It is change ", strconv.Itoa(m.Changes), ": of so many, few are reported")
		}
		if exposure.IsSession(e) {
			s.add("Such a session may live until ", stamp(e.Time.Add(exposure.SessionLength)))
		}
		if e != first {
			s.add(x.beginning(m.Time))
		}
	case exposure.Exploited:
		if f := from(&e.Actor); f != "" {
			s.add("Signed in", f)
		}
		if m.Reasons&exposure.HasExploited == 0 {
			s.add("The address is known from sign-ins with MFA")
		}
		x.explainBeginning(e, &s)
		x.explainBefore(m, &s)
	case exposure.Escalated:
		if first.Name == trail.ConsoleLogin {
			s.add(x.beginning(m.Time))
		} else {
			s.add(theDevice(first.Serial), " was removed ", clock(first.Time, m.Time), actorDetails(&first.Actor))
		}
	}
	s.add(x.explainSeverity(m))
	s.add(x.advice(m))
	return s.end(x.Policy(), x.Planned(), more)
}

// explainEnd says how the exposure ended, by whom, and how long it lasted.
func (x exposed) explainEnd(m *exposure.Moment, s *sentences) {
	e, first := m.Event, x.First()
	does := by(&e.Actor) + from(&e.Actor)
	switch m.Resolution {
	case exposure.Enabled:
		verb := " was enabled"
		if e.Name == trail.ResyncMFADevice {
			verb = " was shown to work"
		}
		s.add(theDevice(e.Serial), verb, does)
	case exposure.MFASeen:
		s.add("The sign-in", from(&e.Actor), " proves it")
	case exposure.Proved:
		if isSignIn(e) {
			s.add("The sign-in with MFA", from(&e.Actor), " proves it")
		} else {
			s.add("The last of what was left behind is taken back", does)
		}
	case exposure.UserDeleted:
		if x.Root {
			s.add("One session took the device and the password", does)
		} else if e.Name != trail.DeleteUser {
			s.add("The name went to another user", does, ", so the former one is gone")
		} else if does != "" {
			s.add("It was done", does)
		}
	case exposure.Closed:
		s.add("The note: ", safetext.Clean(strings.TrimRight(e.Detail, ". "), exposure.MaxNote))
	case exposure.Replaced:
		if x.IsGone() {
			s.add("A late record shows that the device known before was another user's")
		} else if x.WasForeign() {
			s.add("A device that another identity enabled was removed, and another one protects ", userAgain(m.User, x.Root))
		} else if e == first {
			s.add("It is reported there: ", theDevice(first.Serial), " was removed ", clock(first.Time, m.Time), by(&first.Actor))
		} else {
			s.add("A late record shows ", theDevice(e.Serial), ", active already ", clock(e.Time, m.Time), ": ",
				theDevice(first.Serial), ", removed", by(&first.Actor), ", was replaced")
		}
	}
	switch {
	case m.Resolution == exposure.Replaced:
	case first.Name == trail.ConsoleLogin:
		s.add("The exposure lasted ", span(m.Time.Sub(x.OpenedAt)))
	default:
		s.add("The exposure lasted ", span(m.Time.Sub(x.OpenedAt)), ", since ", theDevice(first.Serial), " was removed", by(&first.Actor))
	}
	switch {
	case x.Exploited && x.Changed:
		s.add("Meanwhile somebody signed in without MFA and access was changed: review both")
	case x.Exploited:
		s.add("Meanwhile somebody signed in without MFA: review what was done")
	case x.Changed:
		s.add("Meanwhile credentials or rights were changed: review them")
	}
}

// explainSeverity states the reasons for the severity: the factors that
// SeverityOf weighs.
func (x exposed) explainSeverity(m *exposure.Moment) string {
	if m.Rule != "" {
		return byRule(m.Severity, m.Rule)
	}
	why := factors(m.Reasons &^ exposure.HasLeftBehind) // which has a sentence of its own
	switch {
	case m.Step == exposure.Exploited && m.Reasons&exposure.HasExploited == 0:
		why = append(why, "the password was enough")
	case m.Step == exposure.Exploited:
		why = append(why, "the password was enough to sign in")
	case m.Reasons&exposure.HasExploited != 0:
		why = append(why, "somebody signed in without MFA")
	}
	if m.Reasons&exposure.HasChanged != 0 && (m.Reasons&exposure.HasPrelude == 0 || m.Step != exposure.Opened && m.Step != exposure.Reduced && !m.Time.Before(x.OpenedAt)) {
		why = append(why, "access was changed")
	}
	whom := userAgain(m.User, x.Root)
	switch closed := m.ConsoleClosed; {
	case m.Reasons&(exposure.HasExploited|exposure.HasFamiliarAddress) != 0, closed && m.Reasons&exposure.HasChanged != 0, m.Step == exposure.Suspect:
	case closed:
		why = append(why, "the password is deleted: only access keys may still work")
	case m.Protection == exposure.ProtectionOtherDevice && m.EnabledByAnother:
		why = append(why, "what is left was not enabled by "+whom+": it may be an intruder's")
	case m.Protection == exposure.ProtectionOtherDevice:
		why = append(why, "another device still protects "+whom)
	case m.Step == exposure.Updated:
		why = append(why, "no other device is known")
	default:
		why = append(why, "no other device is known: the password may be all that protects "+whom)
	}
	return string(m.Severity) + " because " + list(why)
}

// phrases render, in the order of ReasonWords, the reasons that move a severity
// and lie in the target. The other reasons have sentences of their own, or move
// no severity.
var phrases = [...]string{
	0: "this is the root user", 1: "the user is privileged", 13: "several users were hit", 16: "",
	17: "somebody else enabled the device, or may have", 18: "credentials or rights given meanwhile still stand", 19: "the address of the sign-in is known for the user",
	20: "no record shows the removal", 21: "many sign-ins or codes failed", 22: "credentials or rights changed shortly before",
}

// byRule is the explanation where a severity rule applied.
func byRule(v exposure.Severity, rule string) string {
	return string(v) + " because a rule says so: " + strings.TrimRight(safetext.Clean(rule, maxDetail), ". ")
}

// factors returns the phrases of r.
func factors(r exposure.Reasons) []string {
	var why []string
	for i, p := range phrases {
		if p != "" && r&(1<<i) != 0 {
			why = append(why, p)
		}
	}
	return why
}

// advice says what to do now; "" if there is nothing to do.
func (x exposed) advice(m *exposure.Moment) string {
	if m.Step == exposure.Resolved {
		return ""
	}
	a := &m.Event.Actor
	if m.Step == exposure.Escalated {
		a = &x.First().Actor
	}
	whose := userName(m.User, x.Root)
	ask := "ask " + whose
	if a.Type == "IAMUser" && !a.Self && a.Name != "" && x.Campaign == nil {
		ask += " or " + actor(a)
	}
	switch {
	case m.Step == exposure.Exploited && m.Reasons&exposure.HasExploited == 0:
		return "ask " + whose + " whether " + whose + " is enrolling now; if not, disable password, keys and sessions"
	case m.Step == exposure.Suspect && m.Reasons&(exposure.HasExploited|exposure.HasChanged) == 0:
		return "ask " + whose + " whose device it is; if it is not theirs, remove it, and disable the password and access keys"
	case m.Reasons&(exposure.HasExploited|exposure.HasChanged) != 0 && x.Root:
		return "assume an intrusion: recover root; see what was done"
	case m.Reasons&(exposure.HasExploited|exposure.HasChanged) != 0:
		return "assume an intrusion: disable password, keys and sessions; see what was done"
	case m.Step == exposure.Reduced && a.Self && !m.EnabledByAnother:
		return ""
	case m.User == "" && !x.Root:
		return "find out whose device it was, and if it was meant; the log cannot show when this is over"
	case m.Step == exposure.Reduced && m.EnabledByAnother:
		return ask + " if it was meant; if not, remove that device, and disable the password and access keys of " + whose
	case m.Step == exposure.Reduced:
		return ask + " if it was meant"
	case x.Root:
		return "ask who holds root if it was meant; if not, recover the account now"
	case m.ConsoleClosed:
		return "if it was not meant, disable the access keys of " + whose
	}
	return ask + " if it was meant; if not, disable the password and access keys of " + whose
}
