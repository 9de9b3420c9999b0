package alerting

import (
	"slices"
	"strconv"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// assignCampaignIDs gives each campaign the ID under which it was delivered,
// recognized by its exposures, or else a new one. It returns the records of all
// campaigns, old and new.
func assignCampaignIDs(campaigns []*ActorCampaign, memberOf func(*sighting) (member, bool), before []deliveredCampaign) []*deliveredCampaign {
	all := make([]*deliveredCampaign, 0, len(before)+len(campaigns))
	free := make(map[string]*deliveredCampaign, len(before))
	used := make(map[string]bool, len(before))
	for i := range before {
		t := before[i]
		all = append(all, &t)
		free[t.ID], used[t.ID] = &t, true
	}
	claim := func(w *ActorCampaign, known string) {
		if w.delivered == nil && free[known] != nil {
			w.delivered = free[known]
			delete(free, known)
		}
	}
	for _, w := range campaigns {
		for _, s := range w.hits {
			claim(w, s.countedIn()) // whose exposures know no other
		}
	}
	for _, w := range campaigns {
		for _, s := range w.hits {
			m, _ := memberOf(s)
			claim(w, m.Campaign)
		}
		if w.delivered == nil {
			for used[w.ID] {
				w.ID = exposure.ID("campaign", w.ID, w.hits[0].First.ID)
			}
			w.delivered = &deliveredCampaign{ID: w.ID}
			if w.Open == 0 && !slices.ContainsFunc(w.hits, func(s *sighting) bool { m, ok := memberOf(s); return s.More == nil && (!ok || !m.Over) }) {
				// Each was alerted to its end before a policy made them a campaign.
				*w.delivered = deliveredCampaign{ID: w.ID, Users: w.Users, Closed: true}
				w.notified = true
			}
			w.delivered.Lane, w.delivered.Partition, w.delivered.Account = w.lane, w.Partition, w.Account
			used[w.ID] = true
			all = append(all, w.delivered)
		}
		w.ID, w.Partition, w.Account = w.delivered.ID, w.delivered.Partition, w.delivered.Account // however it goes on
		for _, since := range []time.Time{w.delivered.Since, w.First} {
			if w.since.IsZero() {
				w.since = since
			}
		}
		w.delivered.Since = w.since
		w.findUnreported(func(s *sighting) bool { m, _ := memberOf(s); return w.notified || m.notifiedBy(w) })
	}
	return all
}

// notifyCampaigns alerts the campaigns. A delivered campaign that no longer is
// one is resolved; suppress then notifies people of its exposures one by one.
func (t *notifier) notifyCampaigns(campaigns []*ActorCampaign, all []*deliveredCampaign) {
	now := make(map[*deliveredCampaign]bool, len(campaigns))
	for _, w := range campaigns {
		now[w.delivered] = true
		t.notifyCampaign(w, w.delivered)
	}
	for _, sent := range all {
		if !now[sent] && !sent.Closed {
			sent.Closed = true
			t.emitCampaign(formerCampaign(sent, t), sent, exposure.Resolved, &exposure.Moment{Time: sent.Last, Event: formerCampaignEvent(sent)}, sent.key())
		}
	}
}

// notifyCampaign alerts a campaign when it is first known, when its users have
// doubled, and some time after it has grown; escalates it while one of its
// exposures is open; and resolves it. Delays that passed before the first alert
// are not alerted beside it, unless that alert is late and so pages no one.
func (t *notifier) notifyCampaign(w *ActorCampaign, sent *deliveredCampaign) {
	if w.kind != removal {
		t.notifyCase(w, sent)
		return
	}
	open, waits := w.Open > 0, slices.ContainsFunc(w.hits, (*sighting).waits)
	last := w.latestStep()
	grown := w.unreported > 0
	if grown && sent.Users > 0 && w.Users < 2*(w.Users-w.unreported) && !w.moreSevere() {
		if at := w.unreportedSince.Add(regrowthWait); at.After(t.now) {
			t.wakeAt(at)
			grown = false
		}
	}
	first := sent.Users == 0 && t.lateReason(last.Time) == 0
	sent.Actor, sent.First, sent.Last, sent.Event = w.Actor, w.First, last.Time, last.Event.ID
	if grown || sent.Closed && open {
		t.countUsers(w, sent, sent.Closed)
		sent.Closed = false
		t.emitCampaign(w, sent, exposure.StepCampaign, last, sent.key())
	}
	switch {
	case waits:
		base := trail.Event{Name: trail.Deadline, Partition: w.Partition, Account: w.Account, Exposure: w.ID, Lane: w.lane, Key: "actor"}
		number, e := t.passDeadlines(base, w.since, sent.Escalated)
		if e != nil && !first {
			t.emitCampaign(w, sent, exposure.Escalated, &exposure.Moment{Time: e.Time, Event: e, Escalation: number}, e.ID)
		}
		sent.Escalated = number
	case !open && !sent.Closed:
		sent.Closed = true
		t.emitCampaign(w, sent, exposure.Resolved, w.endStep(), sent.key())
	}
}

// notifyCase alerts a campaign of which nothing is open: when it is first known,
// whenever its users have doubled, and with root or the first privileged user.
func (t *notifier) notifyCase(w *ActorCampaign, sent *deliveredCampaign) {
	last := w.latestStep()
	sent.Actor, sent.First, sent.Last, sent.Event, sent.Closed = w.Actor, w.First, last.Time, last.Event.ID, true
	if sent.Users > 0 && w.Users < 2*sent.Users && !w.moreSevere() {
		return
	}
	t.countUsers(w, sent, false)
	t.emitCampaign(w, sent, exposure.StepCampaign, last, sent.key())
}

// countUsers records that an alert counts the users of w. It is of another round if
// an earlier one has the same number: some users are no longer part of it.
func (t *notifier) countUsers(w *ActorCampaign, sent *deliveredCampaign, reopened bool) {
	if reopened || w.Users <= sent.Users {
		sent.Round++
	}
	sent.Users, w.notified = w.Users, true
}

// campaignKey distinguishes the steps of one kind: by the number of users hit
// so far, and by how often the campaign was reported as open again.
func campaignKey(users, round int) string { return strconv.Itoa(users) + "/" + strconv.Itoa(round) }

func (s *deliveredCampaign) key() string { return campaignKey(s.Users, s.Round) }

func (t *notifier) emitCampaign(w *ActorCampaign, sent *deliveredCampaign, s exposure.Step, m *exposure.Moment, key string) {
	id := key // of a deadline
	if s != exposure.Escalated {
		id = stepID(w.ID, s, key, 0)
	}
	sent.At = t.now
	t.out.Alerts = append(t.out.Alerts, w.alert(s, m, id, t.lateReason(m.Time)))
}

// formerCampaign returns what is left of a delivered campaign that no longer is
// one.
func formerCampaign(sent *deliveredCampaign, t *notifier) *ActorCampaign {
	return &ActorCampaign{
		ID: sent.ID, Partition: sent.Partition, Account: sent.Account, Actor: sent.Actor, Users: sent.Users,
		First: sent.First, Last: sent.Last, policy: t.policy,
	}
}

func formerCampaignEvent(sent *deliveredCampaign) *trail.Event {
	return &trail.Event{
		ID: sent.Event, Name: trail.DeactivateMFADevice, Time: sent.Last, Partition: sent.Partition, Account: sent.Account, Actor: sent.Actor,
	}
}
