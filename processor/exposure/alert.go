package exposure

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Schema names the form of an Alert and its version.
const Schema = "mfawatch.alert/v1"

// Step is one thing that happened to an exposure and is alerted.
type Step string

// The steps.
const (
	Opened       Step = "opened"
	Reduced      Step = "reduced"
	Updated      Step = "updated"
	Exploited    Step = "exploited"
	Escalated    Step = "escalated"
	Resolved     Step = "resolved"
	Attempted    Step = "attempted"
	StepCampaign Step = "campaign" // one actor hit several users, who are alerted together
	Suspect      Step = "suspect"  // a device came back, but an intruder may hold it (J1)
	Enrolled     Step = "enrolled" // another identity enabled a device for a user without an exposure (J3)
	Failed       Step = "failed"   // a call that failed for another reason than a refusal (J18)
)

// Steps lists the steps in the order in which an exposure may take them.
var Steps = []Step{Failed, Attempted, Enrolled, Opened, Reduced, Updated, Exploited, StepCampaign, Escalated, Suspect, Resolved}

// Severity is how urgent a step is.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities lists the severities, lowest first.
var Severities = []Severity{Info, Low, Medium, High, Critical}

// Alert is one step of an exposure. It is immutable, and the same in every
// machine-readable place.
type Alert struct {
	Schema      string              `json:"schema"`
	ID          string              `json:"id"`       // depends only on what happened: the key of deduplication
	Exposure    *string             `json:"exposure"` // nil for attempted, which belongs to none; the campaign's ID in a campaign's own steps
	Step        Step                `json:"step"`
	Severity    Severity            `json:"severity"`
	Reasons     []string            `json:"reasons"` // fixed words, never nil
	Title       string              `json:"title"`
	Summary     string              `json:"summary"`
	Advice      string              `json:"advice"`      // what to do now, also part of the summary; "" if there is nothing to do
	Time        time.Time           `json:"time"`        // eventTime of the step
	OpenedAt    *time.Time          `json:"opened_at"`   // eventTime of the first deactivation
	ResolvedAt  *time.Time          `json:"resolved_at"` // nil while open
	Resolution  *string             `json:"resolution"`  // enabled, replaced, mfa_seen or user_deleted; ended of a campaign; nil while open
	Partition   string              `json:"partition"`
	Account     string              `json:"account"`
	AccountName string              `json:"account_name,omitempty"` // by which the policy knows the account
	User        *string             `json:"user"`                   // nil when unknown
	Root        bool                `json:"root"`
	Protection  string              `json:"protection"` // none, other_device or unknown
	Actor       AlertActor          `json:"actor"`
	Device      AlertDevice         `json:"device"`
	Event       AlertEvent          `json:"event"`
	Escalation  *int                `json:"escalation"`            // escalated: the number of the passed delay, from 1; else nil
	Attempts    *AlertAttempts      `json:"attempts"`              // attempted: number and error codes of the calls; else nil
	Attack      []string            `json:"attack"`                // MITRE ATT&CK technique IDs
	Path        string              `json:"path,omitempty"`        // the user's path within IAM, where a record showed one: /admins/
	Rule        string              `json:"rule,omitempty"`        // the reason of the severity rule that set the severity
	Campaign    string              `json:"campaign,omitempty"`    // the campaign whose alerts notify people in place of this one
	Users       *AlertUsers         `json:"users,omitempty"`       // a campaign's own steps: the users hit; else nil
	Expected    *AlertPlannedChange `json:"expected,omitempty"`    // the planned change, with the reason expected or overdue; else nil
	LeftBehind  []AlertLeftBehind   `json:"left_behind,omitempty"` // suspect: credentials and rights given while exposed that still stand, in order of time (J13)
	Checks      []string            `json:"checks,omitempty"`      // suspect: what to check, in order
	Test        bool                `json:"test,omitempty"`        // a test of the channels, about no user
	Record      json.RawMessage     `json:"record"`                // the raw record of the step's event; null if there is none
}

// AlertActor is the actor of a step. Callers of AWS choose its texts.
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

// AlertLeftBehind is a credential or right that was given while the user was
// exposed and was not taken back.
type AlertLeftBehind struct {
	Kind string    `json:"kind"` // access_key, password, policy, group, …
	ID   string    `json:"id"`   // of the key, or the name of the policy or group; "" for a password
	Time time.Time `json:"time"`
}

// AlertDevice is the device of a step.
type AlertDevice struct {
	Serial *string `json:"serial"` // nil when unknown
	Kind   string  `json:"kind"`   // virtual, security_key, hardware, sms or unknown
}

// AlertEvent is the CloudTrail record behind a step.
type AlertEvent struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Region    string  `json:"region"`
	ErrorCode *string `json:"error_code"`
	Origin    string  `json:"origin"`
}

// AlertAttempts sums up calls that count as one attempt.
type AlertAttempts struct {
	Count      int      `json:"count"`
	ErrorCodes []string `json:"error_codes"`
}

// AlertUsers are the users that a campaign hit.
type AlertUsers struct {
	Count int      `json:"count"`
	Open  int      `json:"open"`  // how many of them have an open exposure
	Names []string `json:"names"` // in the order of the hits, at most 100; unknown users are left out

	Accounts []string `json:"accounts,omitempty"` // where the users are, if that is more than one account; at most 100
}

// AlertPlannedChange is the planned change of the configuration that matches a step.
type AlertPlannedChange struct {
	Entry    string    `json:"entry"` // stays the same until the entry changes
	Ticket   string    `json:"ticket"`
	Approver string    `json:"approver"`
	Until    time.Time `json:"until"`
}

// MachineOnly reports whether only machine sinks are notified of a: it was
// planned, a campaign's alerts notify people in its place, or the call failed
// without being refused.
func (a *Alert) MachineOnly() bool {
	return a.Campaign != "" || a.Step == Failed || slices.Contains(a.Reasons, ReasonExpected)
}

// alert renders a step under the given exposure ID.
func (x *Exposure) alert(as *Moment, exposure, id string, more reasons) *Alert {
	judged := *as
	m, e := &judged, as.Event
	m.Severity, m.rule = x.severity(m, more)
	opened := x.OpenedAt.UTC()
	a := &Alert{
		Schema: Schema, ID: id, Exposure: &exposure,
		Step: m.Step, Severity: m.Severity, Reasons: (m.reasons | more).words(),
		Title: x.title(m), Summary: x.summary(m, more), Advice: sentence(x.advice(m)),
		Path: x.path, Rule: safetext.Clean(m.rule, maxDetail), Expected: x.planned.alert(more),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: x.Partition, Account: x.Account, AccountName: x.policy.Accounts[x.Account].Name, User: optional(m.user), Root: x.Root,
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
	case Escalated: // by the removal, for lack of an actor of its own
		a.Actor, a.Event, a.Record = alertActor(&x.first.Actor), alertEvent(x.first), record(x.first)
		a.Escalation = &m.escalation
	case Suspect:
		a.LeftBehind, a.Checks = m.left, x.checks(m)
	}
	if used := a.Event.Name; used == trail.ConsoleLogin && m.Step != Escalated {
		a.Actor.MFA = e.MFAUsed // of the sign-in itself
	}
	return a
}

// alert renders the attempt.
func (a *Attempt) alert(more reasons) *Alert {
	e := a.first
	if a.planned != nil {
		more |= planned
	}
	severity, because := a.severity(more)
	alert := &Alert{
		Schema: Schema, ID: a.ID,
		Step: a.Step, Severity: severity, Reasons: (a.reasons | more).words(),
		Title: a.title(), Summary: a.summary(severity, because, more), Advice: sentence(a.advice()),
		Path: a.path, Rule: safetext.Clean(because, maxDetail), Expected: a.planned.alert(more),
		Time:      a.First.UTC(),
		Partition: a.Partition, Account: a.Account, AccountName: a.policy.Accounts[a.Account].Name, User: optional(a.User), Root: a.Root,
		Protection: ProtectionUnknown,
		Actor:      alertActor(&e.Actor),
		Device:     alertDevice(e.Serial),
		Event:      alertEvent(e),
		Attack:     techniques(0, 0),
		Record:     record(e),
	}
	if a.campaign != nil {
		alert.Campaign = a.campaign.ID
	}
	if a.class != enrolment {
		alert.Attempts = &AlertAttempts{Count: a.Count, ErrorCodes: append([]string{}, a.Codes...)}
	}
	return alert
}

// alert renders a step of the campaign.
func (w *ActorCampaign) alert(s Step, m *Moment, id string, more reasons) *Alert {
	e := m.Event
	r := inCampaign | more | actorReasons(&w.Actor)
	attack := techniques(0, 0)
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
	a := &Alert{
		Schema: Schema, ID: id, Exposure: &w.ID,
		Step: s, Severity: severity, Reasons: r.words(), Rule: safetext.Clean(because, maxDetail),
		Title: w.title(s, m), Summary: w.summary(s, m, severity, because, r), Advice: sentence(w.advice(s)),
		Time: m.Time.UTC(), OpenedAt: &opened,
		Partition: w.Partition, Account: w.Account, AccountName: w.policy.Accounts[w.Account].Name, Root: w.userReasons()&root != 0,
		Protection: ProtectionUnknown,
		Users:      w.alertUsers(),
		Actor:      alertActor(&w.Actor),
		Device:     alertDevice(""),
		Event:      alertEvent(e),
		Attack:     attack,
		Record:     record(e),
	}
	switch s {
	case Resolved:
		at, how := m.Time.UTC(), Ended
		a.ResolvedAt, a.Resolution = &at, &how
	case Escalated: // by the last removal
		last := w.latestStep().Event
		a.Event, a.Record = alertEvent(last), record(last)
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

// stamp formats a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// clock formats a time within a sentence about a step at ref. It names the day
// if that differs.
func clock(t, ref time.Time) string {
	if t, ref = t.UTC(), ref.UTC(); t.Format(time.DateOnly) == ref.Format(time.DateOnly) {
		return t.Format("at 15:04:05 UTC")
	}
	return "at " + stamp(t)
}
