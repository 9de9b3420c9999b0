package exposure

import (
	"encoding/json"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// alert is a step as it is told, under the name of its exposure.
func (x *Exposure) alert(as *Moment, exposure, id string, more reasons) *Alert {
	judged := *as
	m, e := &judged, as.Event
	m.Severity, m.rule = x.judge(m, more)
	opened := x.OpenedAt.UTC()
	a := &Alert{
		Schema: Schema, ID: id, Exposure: &exposure,
		Step: m.Step, Severity: m.Severity, Reasons: (m.reasons | more).words(),
		Title: x.title(m), Summary: x.summary(m, more), Advice: sentence(x.advice(m)),
		Path: x.path, Rule: Clean(m.rule, maxDetail), Expected: x.expected.alert(more),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: x.Partition, Account: x.Account, User: optional(m.user), Root: x.Root,
		Protection: m.protection,
		Actor:      alertActor(&e.Actor),
		Device:     alertDevice(e.Serial),
		Event:      alertEvent(e),
		Attack:     techniques(m.reasons, m.changes),
		Record:     record(e),
	}
	if e.Serial == "" {
		a.Device = alertDevice(x.first.Serial)
	}
	switch m.Step {
	case Resolved:
		at := m.Time.UTC()
		a.ResolvedAt, a.Resolution = &at, &m.resolution
	case Escalated: // which nobody did
		a.Actor = alertActor(&x.first.Actor)
		a.Event.Region = x.first.Region
		a.Escalation = &m.escalation
	}
	return a
}

// alert is the attempt as it is told.
func (a *Attempt) alert(more reasons) *Alert {
	e := a.first
	if a.expected != nil {
		more |= expected
	}
	severity, because := a.judge(more)
	codes := a.Codes
	if codes == nil {
		codes = []string{}
	}
	return &Alert{
		Schema: Schema, ID: a.ID,
		Step: Attempted, Severity: severity, Reasons: (a.reasons | more).words(),
		Title: a.title(), Summary: a.summary(severity, because, more), Advice: sentence(a.advice()),
		Path: a.path, Rule: Clean(because, maxDetail), Expected: a.expected.alert(more),
		Time:      a.First.UTC(),
		Partition: a.Partition, Account: a.Account, User: optional(a.User), Root: a.Root,
		Protection: ProtectionUnknown,
		Actor:      alertActor(&e.Actor),
		Device:     alertDevice(e.Serial),
		Event:      alertEvent(e),
		Attempts:   &AlertAttempts{Count: a.Count, ErrorCodes: codes},
		Attack:     techniques(0, 0),
		Record:     record(e),
	}
}

// alert is a step of the campaign as it is told.
func (w *Wave) alert(s Step, m *Moment, id string, more reasons) *Alert {
	e := m.Event
	r := inCampaign | more | actorReasons(&w.Actor)
	var c changes
	for _, x := range w.Exposures {
		r |= x.reasons & (root | privileged | exploited | changed)
		c |= x.changes
	}
	severity, because := w.judge(s, m, more)
	opened := w.First.UTC()
	a := &Alert{
		Schema: Schema, ID: id, Exposure: &w.ID,
		Step: s, Severity: severity, Reasons: r.words(), Rule: Clean(because, maxDetail),
		Title: w.title(s, m), Summary: w.summary(s, m, severity, because, r), Advice: sentence(w.advice(s)),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: w.Partition, Account: w.Account, Root: w.root(),
		Protection: ProtectionUnknown,
		Users:      w.users(),
		Actor:      alertActor(&w.Actor),
		Device:     alertDevice(""),
		Event:      alertEvent(e),
		Attack:     techniques(r, c),
		Record:     record(e),
	}
	switch s {
	case Resolved:
		at, how := m.Time.UTC(), Ended
		a.ResolvedAt, a.Resolution = &at, &how
	case Escalated: // which nobody did
		a.Event.Region = w.latest().Event.Region
		a.Escalation = &m.escalation
	}
	return a
}

func alertActor(a *trail.Actor) AlertActor {
	return AlertActor{
		Type: a.Type, ARN: a.ARN, Name: a.Name, Self: a.Self, MFA: a.MFA,
		AccessKeyID: a.AccessKeyID, SourceIP: a.SourceIP, UserAgent: a.UserAgent,
	}
}

func alertDevice(serial string) AlertDevice {
	return AlertDevice{Serial: optional(serial), Kind: trail.DeviceKind(serial)}
}

func alertEvent(e *trail.Event) AlertEvent {
	return AlertEvent{ID: e.ID, Name: e.Name, Region: e.Region, ErrorCode: optional(e.ErrorCode), Origin: e.Origin}
}

// optional is nil for what is not there.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// record is the raw record, if it can be written: an alert that cannot be told
// for its evidence is worse than one without.
func record(e *trail.Event) json.RawMessage {
	if len(e.Raw) == 0 || !json.Valid(e.Raw) {
		return nil
	}
	return e.Raw
}

// stamp is a time as a person reads it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// clock is a time as a sentence about a step at ref needs it: the day is said
// if it is another one.
func clock(t, ref time.Time) string {
	if t, ref = t.UTC(), ref.UTC(); t.Format(time.DateOnly) == ref.Format(time.DateOnly) {
		return t.Format("at 15:04:05 UTC")
	}
	return "at " + stamp(t)
}
