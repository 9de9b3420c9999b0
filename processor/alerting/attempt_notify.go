package alerting

import "github.com/mfawatch/mfawatch/processor/exposure"

// notifyAttempts alerts the attempts that share no event with a delivered one.
func (t *notifier) notifyAttempts(f *exposure.Subject, before []deliveredAttempt, joined map[string]membership) []deliveredAttempt {
	used := make(map[string]bool, len(before))
	of := make(map[string]*exposure.Attempt, 2*len(before)) // by event: its attempt now
	for _, b := range before {
		used[b.ID] = true
		of[b.First], of[b.Last] = nil, nil
	}
	if len(before) > 0 {
		f.FindAttempts(of)
	}
	guesses := map[string]*exposure.Attempt{} // by their first wrong code, which is a call of another class
	for _, a := range f.Attempts {
		if a.Class() == exposure.Guessed {
			guesses[a.Begins().ID] = a
		}
	}
	was := make(map[*exposure.Attempt]deliveredAttempt, len(before))
	var after []deliveredAttempt
	for _, b := range before {
		first, last := of[b.First], of[b.Last]
		if b.Class == exposure.Guessed {
			first = guesses[b.First]
		}
		if (first == nil || first.Class() != b.Class) && (last == nil || last.Class() != b.Class) {
			after = append(after, b)
		}
		for _, a := range []*exposure.Attempt{first, last} {
			if _, ok := was[a]; !ok && a != nil && a.Class() == b.Class {
				was[a] = b
			}
		}
	}
	for _, a := range f.Attempts {
		if r := t.policy.Retention; a.Class() == exposure.Enrolment && r > 0 && a.Last.Before(t.now.Add(-r)) {
			continue // an exposure keeps the event longer than its record of delivery
		}
		n := deliveredAttempt{ID: a.ID, First: a.Begins().ID, Last: a.LastEvent().ID, Class: a.Class(), At: t.now}
		if b, ok := was[a]; ok {
			n.ID, n.First, n.At, n.Sighted = b.ID, b.First, b.At, b.Sighted
		} else if !used[a.ID] {
			used[a.ID] = true
			attempted{a}.join(joined)
			t.out.Alerts = append(t.out.Alerts, attempted{a}.alert(t.lateReason(a.Last)))
		}
		if !n.Sighted && a.CountsForCampaign() {
			n.Sighted = true
			t.out.Derived = append(t.out.Derived, attempted{a}.sighting(n.ID).event(""))
		}
		if a.Last.After(n.At) {
			n.At = a.Last
		}
		after = append(after, n)
	}
	return after
}

// sighting returns what the actor's lane has to know of the attempt.
func (a attempted) sighting(as string) *sighting {
	target := exposure.Keys(a.FirstEvent())[0]
	return &sighting{
		Exposure: as, Kind: denied, Revision: 1, Subject: target, Whose: exposure.ID("target", a.Partition, a.Account, target), Counts: true,
		Severity: exposure.High, Reasons: (a.ReasonSet() & sightedReasons).Words(), Attack: []string{exposure.AttackMFA},
		User: a.User, OpenedAt: a.First, First: a.FirstEvent(), lane: a.ActorLane(),
	}
}

// join records the case that covers the attempt.
func (a attempted) join(last map[string]membership) {
	if m, ok := last[a.ActorLane()+"\x00"+a.ID]; ok && m.ID != "" {
		a.Campaign = m.campaign()
	}
}
