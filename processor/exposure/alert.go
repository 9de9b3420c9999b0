package exposure

import (
	"encoding/json"
	"slices"
	"time"
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
	CampaignIn  string              `json:"campaign_in,omitempty"` // the account that those are about, if it is another one
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

// MachineOnly reports whether only machine sinks are notified of a where no routes are: it was
// planned, a campaign's alerts notify people in its place, or the call failed
// without being refused.
func (a *Alert) MachineOnly() bool {
	return a.Campaign != "" || a.Step == Failed || slices.Contains(a.Reasons, ReasonExpected)
}
