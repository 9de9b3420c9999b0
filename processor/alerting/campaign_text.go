package alerting

import (
	"strconv"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// maxNamed bounds the users that a sentence names.
const maxNamed = 5

// userReasons returns the reasons that lie in the users hit.
func (w *ActorCampaign) userReasons() (r exposure.Reasons) {
	for _, s := range w.hits {
		r |= s.reasons() & (exposure.HasRoot | exposure.HasPrivileged)
	}
	return r
}

func (w *ActorCampaign) title(s exposure.Step, m *exposure.Moment) string {
	users, who, in := strconv.Itoa(w.Users)+" users", actor(&w.Actor), inTheAccount(w.policy, w.Partition, w.Account)
	if n := len(w.accounts()); n > 1 {
		in = " in " + strconv.Itoa(n) + " accounts"
	}
	switch w.kind {
	case denied:
		return upper(who) + " was denied to change the MFA of " + users + in
	case wiped:
		return upper(who) + " removed MFA from " + users + in + " and deleted them"
	}
	switch s {
	case exposure.Escalated:
		return "Still no MFA for " + strconv.Itoa(w.Open) + " of " + users + in + " after " + span(m.Time.Sub(w.since)) + ", removed by " + who
	case exposure.Resolved:
		return "The campaign of " + who + " against " + users + in + " is over"
	}
	return upper(who) + " removed MFA from " + users + in
}

func (w *ActorCampaign) summary(step exposure.Step, m *exposure.Moment, v exposure.Severity, rule string, r exposure.Reasons) string {
	var s sentences
	if step == exposure.Resolved {
		switch {
		case len(w.hits) == 0:
			s.add("It was none: fewer users than it takes lost their MFA for good. Each user who is still without it has an alert of their own")
		default:
			s.add("Each of its exposures is over: ", w.restored())
			s.add("It lasted ", span(m.Time.Sub(w.First)))
		}
		return s.end(w.policy, nil, r)
	}
	within := ""
	if d := w.Last.Sub(w.First); d > 0 {
		within = " within " + span(d)
	}
	switch w.kind {
	case denied:
		s.add("Calls on ", w.userNames(), " were denied", within, actorDetails(&w.Actor))
	case wiped:
		s.add("MFA was taken from ", w.userNames(), within, actorDetails(&w.Actor), "; then the users were deleted")
	default:
		s.add("MFA was taken from ", w.userNames(), within, actorDetails(&w.Actor))
	}
	if open := w.Open; w.kind == removal && open < w.Users {
		s.add(strconv.Itoa(open), " of them have none now")
	}
	if rule != "" {
		s.add(byRule(v, rule))
	} else {
		why := factors(r)
		if r&exposure.HasExploited != 0 {
			why = append(why, "somebody signed in without MFA")
		}
		if r&exposure.HasChanged != 0 {
			why = append(why, "access was changed")
		}
		s.add(string(v), " because ", list(why))
	}
	s.add(w.advice(step))
	return s.end(w.policy, nil, r)
}

func (s *sighting) userName() string { return userName(s.User, s.reasons()&exposure.HasRoot != 0) }

// userNames lists the first users and the number of the others.
func (w *ActorCampaign) userNames() string {
	var parts []string
	for _, s := range w.firsts[:min(len(w.firsts), maxNamed)] {
		parts = append(parts, s.userName())
	}
	return list(w.andMore(parts))
}

func (w *ActorCampaign) advice(s exposure.Step) string {
	if s == exposure.Resolved {
		return ""
	}
	switch w.kind {
	case denied:
		return "find out if " + actor(&w.Actor) + " was meant to; if not, cut " + actor(&w.Actor) + " off, and see what else they did"
	case wiped:
		return "find out if these users were meant to be deleted; if not, cut " + actor(&w.Actor) + " off"
	}
	return "find out at once if " + actor(&w.Actor) + " was meant to; if not, cut " + actor(&w.Actor) + " off, then disable the passwords and keys of these users"
}

// restored says how the exposures of the first users ended, and by whom.
func (w *ActorCampaign) restored() string {
	var parts []string
	for _, s := range w.firsts[:min(len(w.firsts), maxNamed)] {
		how := ""
		if s.Last != nil {
			how = endedBy(s)
		}
		parts = append(parts, s.userName()+how)
	}
	return list(w.andMore(parts))
}

// andMore adds the number of users that are not among the parts.
func (w *ActorCampaign) andMore(parts []string) []string {
	more := strconv.Itoa(w.Users - len(parts))
	switch {
	case len(parts) == 0:
		return []string{more + " users"}
	case more == "0":
		return parts
	}
	return append(parts, more+" more")
}

// endedBy says in brackets how an exposure ended.
func endedBy(s *sighting) string {
	a := &s.Last.Actor
	who := by(a)
	if a.Self {
		who = " by themselves"
	}
	switch s.Resolution {
	case exposure.Enabled:
		return " (device enabled" + who + ")"
	case exposure.UserDeleted:
		return " (deleted" + who + ")"
	case exposure.Closed:
		return " (closed by " + actor(a) + ")"
	case exposure.Replaced:
		return " (another device protects them)"
	}
	return " (signed in with MFA)"
}
