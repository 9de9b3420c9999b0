package exposure

import (
	"encoding/json"
	"slices"
	"time"
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
