package exposure

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Schema names the alert's form and its version.
const Schema = "mfawatch.alert/v1"

// A Step is one thing that happened to an exposure and is told.
type Step string

// The steps.
const (
	Opened    Step = "opened"
	Reduced   Step = "reduced"
	Updated   Step = "updated"
	Exploited Step = "exploited"
	Escalated Step = "escalated"
	Resolved  Step = "resolved"
	Attempted Step = "attempted"
	Campaign  Step = "campaign" // one actor hit several users: told as one
)

// Steps lists them all, in the order a story may take them.
var Steps = []Step{Attempted, Opened, Reduced, Updated, Exploited, Campaign, Escalated, Resolved}

// A Severity says how loudly a step is told.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities lists them all, lowest first.
var Severities = []Severity{Info, Low, Medium, High, Critical}

// An Alert is one step of an exposure, as it is told: immutable, and the same
// in every machine-readable place.
type Alert struct {
	Schema     string          `json:"schema"`
	ID         string          `json:"id"`       // depends on what happened alone: a key to tell duplicates by
	Exposure   *string         `json:"exposure"` // nil for attempted, which belongs to none; of a campaign's own steps the campaign
	Step       Step            `json:"step"`
	Severity   Severity        `json:"severity"`
	Reasons    []string        `json:"reasons"` // fixed words, never nil
	Title      string          `json:"title"`
	Summary    string          `json:"summary"`
	Advice     string          `json:"advice"`      // what to do now, a part of the summary too; "" where nothing is to be done
	Time       time.Time       `json:"time"`        // eventTime of the step
	OpenedAt   *time.Time      `json:"opened_at"`   // eventTime of the first deactivation
	ResolvedAt *time.Time      `json:"resolved_at"` // nil while open
	Resolution *string         `json:"resolution"`  // enabled, replaced, mfa_seen or user_deleted, of a campaign ended; nil while open
	Partition  string          `json:"partition"`
	Account    string          `json:"account"`
	User       *string         `json:"user"` // nil when it cannot be known
	Root       bool            `json:"root"`
	Protection string          `json:"protection"` // none, other_device or unknown
	Actor      AlertActor      `json:"actor"`
	Device     AlertDevice     `json:"device"`
	Event      AlertEvent      `json:"event"`
	Escalation *int            `json:"escalation"`         // escalated: which delay passed, from 1; else nil
	Attempts   *AlertAttempts  `json:"attempts"`           // attempted: how often and how it failed; else nil
	Attack     []string        `json:"attack"`             // MITRE ATT&CK technique IDs
	Path       string          `json:"path,omitempty"`     // the user's within IAM, where a record showed one: /admins/
	Rule       string          `json:"rule,omitempty"`     // the reason of the severity rule that made the severity what it is
	Campaign   string          `json:"campaign,omitempty"` // people are told of it by the alerts of this campaign, and not by this one
	Users      *AlertUsers     `json:"users,omitempty"`    // of a campaign's own steps: who was hit; else nil
	Expected   *AlertExpected  `json:"expected,omitempty"` // what announced it, with the reason expected or overdue; else nil
	Test       bool            `json:"test,omitempty"`     // it is about nobody: somebody tries the channels
	Record     json.RawMessage `json:"record"`             // the raw record of the step's event; null where there is none
}

// An AlertActor is who caused the step. Its text is the caller's own.
type AlertActor struct {
	Type        string `json:"type"`
	ARN         string `json:"arn"`
	Name        string `json:"name"`
	Self        bool   `json:"self"`
	MFA         *bool  `json:"mfa"`
	AccessKeyID string `json:"access_key_id"`
	SourceIP    string `json:"source_ip"`
	UserAgent   string `json:"user_agent"`
}

// An AlertDevice is the device that the step is about.
type AlertDevice struct {
	Serial *string `json:"serial"` // nil when it cannot be known
	Kind   string  `json:"kind"`   // virtual, security_key, hardware, sms or unknown
}

// An AlertEvent is the CloudTrail record behind the step.
type AlertEvent struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Region    string  `json:"region"`
	ErrorCode *string `json:"error_code"`
	Origin    string  `json:"origin"`
}

// AlertAttempts sums up attempts that count as one.
type AlertAttempts struct {
	Count      int      `json:"count"`
	ErrorCodes []string `json:"error_codes"`
}

// AlertUsers are the users that a campaign hit.
type AlertUsers struct {
	Count int      `json:"count"`
	Open  int      `json:"open"`  // of how many the exposure is open
	Names []string `json:"names"` // in the order they were hit, at most 100; those that cannot be known are not in it
}

// An AlertExpected is the entry of the configuration that announced a change.
type AlertExpected struct {
	Entry    string    `json:"entry"` // stays the same for as long as the entry does
	Ticket   string    `json:"ticket"`
	Approver string    `json:"approver"`
	Until    time.Time `json:"until"`
}

// ForMachines reports whether people are not to be told of the alert: it was
// announced, or a campaign's alerts tell them in its place.
func (a *Alert) ForMachines() bool {
	return a.Campaign != "" || slices.Contains(a.Reasons, ReasonExpected)
}

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
