package exposure

import (
	"strconv"
)

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
