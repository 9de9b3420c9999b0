package alerting

import (
	"encoding/json"
	"slices"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// alert renders a step under the given exposure ID.
func (x exposed) alert(as *exposure.Moment, of, id string, more exposure.Reasons) *exposure.Alert {
	judged := *as
	m, e := &judged, as.Event
	m.Severity, m.Rule = x.SeverityOf(m, more)
	opened := x.OpenedAt.UTC()
	a := &exposure.Alert{
		Schema: exposure.Schema, ID: id, Exposure: &of,
		Step: m.Step, Severity: m.Severity, Reasons: (m.Reasons | more).Words(),
		Title: x.title(m), Summary: x.summary(m, more), Advice: sentence(x.advice(m)),
		Path: x.Path(), Rule: safetext.Clean(m.Rule, maxDetail), Expected: plannedAlert(x.Planned(), more),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: x.Partition, Account: x.Account, AccountName: x.Policy().Accounts[x.Account].Name, User: optional(m.User), Root: x.Root,
		Protection: m.Protection,
		Actor:      alertActor(&e.Actor),
		Device:     alertDevice(e.Serial),
		Event:      alertEvent(e),
		Attack:     m.Attack(),
		Record:     record(e),
	}
	if e.Serial == "" {
		a.Device = alertDevice(x.First().Serial)
	}
	switch m.Step {
	case exposure.Resolved:
		at := m.Time.UTC()
		a.ResolvedAt, a.Resolution = &at, &m.Resolution
	case exposure.Escalated: // by the removal, for lack of an actor of its own
		a.Actor, a.Event, a.Record = alertActor(&x.First().Actor), alertEvent(x.First()), record(x.First())
		a.Escalation = &m.Escalation
	case exposure.Suspect:
		a.LeftBehind, a.Checks = m.Left, x.checks(m)
	}
	if used := a.Event.Name; used == trail.ConsoleLogin && m.Step != exposure.Escalated {
		a.Actor.MFA = e.MFAUsed // of the sign-in itself
	}
	return a
}

// alert renders the attempt.
func (a attempted) alert(more exposure.Reasons) *exposure.Alert {
	e := a.FirstEvent()
	if a.Planned() != nil {
		more |= exposure.HasExpected
	}
	severity, because := a.SeverityWith(more)
	alert := &exposure.Alert{
		Schema: exposure.Schema, ID: a.ID,
		Step: a.Step, Severity: severity, Reasons: (a.ReasonSet() | more).Words(),
		Title: a.title(), Summary: a.summary(severity, because, more), Advice: sentence(a.advice()),
		Path: a.Path(), Rule: safetext.Clean(because, maxDetail), Expected: plannedAlert(a.Planned(), more),
		Time:      a.First.UTC(),
		Partition: a.Partition, Account: a.Account, AccountName: a.Policy().Accounts[a.Account].Name, User: optional(a.User), Root: a.Root,
		Protection: exposure.ProtectionUnknown,
		Actor:      alertActor(&e.Actor),
		Device:     alertDevice(e.Serial),
		Event:      alertEvent(e),
		Attack:     []string{exposure.AttackMFA},
		Record:     record(e),
	}
	if a.Campaign != nil {
		coverBy(alert, a.Campaign)
	}
	if a.Class() != exposure.Enrolment {
		alert.Attempts = &exposure.AlertAttempts{Count: a.Count, ErrorCodes: append([]string{}, a.Codes...)}
	}
	return alert
}

// coverBy says that the alerts of a campaign notify in place of a.
func coverBy(a *exposure.Alert, w *exposure.Campaign) {
	if a.Campaign = w.ID; w.Account != a.Account {
		a.CampaignIn = w.Account
	}
}

// alert renders a step of the campaign.
func (w *ActorCampaign) alert(s exposure.Step, m *exposure.Moment, id string, more exposure.Reasons) *exposure.Alert {
	e := m.Event
	r := exposure.HasCampaign | more | exposure.ActorReasons(&w.Actor)
	attack := []string{exposure.AttackMFA}
	for _, s := range w.hits {
		r |= s.reasons()
		for _, technique := range s.Attack {
			if !slices.Contains(attack, technique) {
				attack = append(attack, technique)
			}
		}
	}
	slices.Sort(attack[1:])
	severity, because := w.severity(s, m, more)
	opened := w.First.UTC()
	a := &exposure.Alert{
		Schema: exposure.Schema, ID: id, Exposure: &w.ID,
		Step: s, Severity: severity, Reasons: r.Words(), Rule: safetext.Clean(because, maxDetail),
		Title: w.title(s, m), Summary: w.summary(s, m, severity, because, r), Advice: sentence(w.advice(s)),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: w.Partition, Account: w.Account, AccountName: w.policy.Accounts[w.Account].Name, Root: w.userReasons()&exposure.HasRoot != 0,
		Protection: exposure.ProtectionUnknown,
		Users:      w.alertUsers(),
		Actor:      alertActor(&w.Actor),
		Device:     alertDevice(""),
		Event:      alertEvent(e),
		Attack:     attack,
		Record:     record(e),
	}
	switch s {
	case exposure.Resolved:
		at, how := m.Time.UTC(), exposure.Ended
		a.ResolvedAt, a.Resolution = &at, &how
	case exposure.Escalated: // by the last removal
		last := w.latestStep().Event
		a.Event, a.Record = alertEvent(last), record(last)
		a.Escalation = &m.Escalation
	}
	return a
}

func alertActor(a *trail.Actor) exposure.AlertActor {
	return exposure.AlertActor{
		Type: a.Type, ARN: a.ARN, Name: a.Name, Self: a.Self, MFA: a.MFA,
		AccessKeyID: a.AccessKeyID, SourceIP: a.SourceIP, UserAgent: a.UserAgent,
	}
}

func alertDevice(serial string) exposure.AlertDevice {
	return exposure.AlertDevice{Serial: optional(serial), Kind: trail.DeviceKind(serial)}
}

func alertEvent(e *trail.Event) exposure.AlertEvent {
	return exposure.AlertEvent{ID: e.ID, Name: e.Name, Region: e.Region, ErrorCode: optional(e.ErrorCode), Origin: e.Origin}
}

// optional returns nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// record returns the raw record if it is valid JSON. An alert without its
// evidence is better than one that cannot be encoded.
func record(e *trail.Event) json.RawMessage {
	if len(e.Raw) == 0 || !json.Valid(e.Raw) {
		return nil
	}
	return e.Raw
}

// exposed is an exposure with the words for it.
type exposed struct{ *exposure.Exposure }

// attempted is an attempt with the words for it.
type attempted struct{ *exposure.Attempt }
