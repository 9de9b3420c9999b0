package trail

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// RootUser is how CloudTrail names the root user as a target (R11).
const RootUser = "AWS ROOT USER"

// The two services whose records are watched.
const (
	SourceIAM    = "iam.amazonaws.com"
	SourceSignin = "signin.amazonaws.com"
)

// The watched event names. The last five are not CloudTrail's: mfawatch appends
// them to its own events.
const (
	DeactivateMFADevice    = "DeactivateMFADevice"
	EnableMFADevice        = "EnableMFADevice"
	ResyncMFADevice        = "ResyncMFADevice"
	CreateVirtualMFADevice = "CreateVirtualMFADevice"
	DeleteVirtualMFADevice = "DeleteVirtualMFADevice"
	CreateUser             = "CreateUser"
	UpdateUser             = "UpdateUser"
	DeleteUser             = "DeleteUser"
	CreateLoginProfile     = "CreateLoginProfile"
	UpdateLoginProfile     = "UpdateLoginProfile"
	DeleteLoginProfile     = "DeleteLoginProfile"
	CreateAccessKey        = "CreateAccessKey"
	UpdateAccessKey        = "UpdateAccessKey"
	DeleteAccessKey        = "DeleteAccessKey"
	AttachUserPolicy       = "AttachUserPolicy"
	PutUserPolicy          = "PutUserPolicy"
	AddUserToGroup         = "AddUserToGroup"
	ConsoleLogin           = "ConsoleLogin"
	CheckMfa               = "CheckMfa"

	ChangePassword                  = "ChangePassword"
	CreateServiceSpecificCredential = "CreateServiceSpecificCredential"
	DeleteServiceSpecificCredential = "DeleteServiceSpecificCredential"
	UploadSSHPublicKey              = "UploadSSHPublicKey"
	DeleteSSHPublicKey              = "DeleteSSHPublicKey"
	UploadSigningCertificate        = "UploadSigningCertificate"
	DeleteSigningCertificate        = "DeleteSigningCertificate"
	DetachUserPolicy                = "DetachUserPolicy"
	DeleteUserPolicy                = "DeleteUserPolicy"
	RemoveUserFromGroup             = "RemoveUserFromGroup"
	PutUserPermissionsBoundary      = "PutUserPermissionsBoundary"
	DeleteUserPermissionsBoundary   = "DeleteUserPermissionsBoundary"

	SwitchRole                = "SwitchRole"
	CreateOAuth2Token         = "CreateOAuth2Token"
	AuthorizeOAuth2Access     = "AuthorizeOAuth2Access"
	PasswordRecoveryRequested = "PasswordRecoveryRequested" // this and the next three: of root
	PasswordRecoveryCompleted = "PasswordRecoveryCompleted"
	PasswordUpdated           = "PasswordUpdated"
	EmailUpdated              = "EmailUpdated"

	Deadline   = "mfawatch:Deadline"   // an exposure has stayed open past an escalation delay
	Closed     = "mfawatch:Closed"     // a person closed an exposure
	Sighting   = "mfawatch:Sighting"   // to an actor's lane: an exposure or attempt of theirs, as it stands
	Membership = "mfawatch:Membership" // to an account's lane: the campaign that covers an exposure or attempt
	PathSeen   = "mfawatch:PathSeen"   // to another user of the account: the path that their own call showed
)

// An Event is a watched record, parsed. It owns all its memory, so it may be
// kept for any time.
type Event struct {
	ID        string    `json:"id"`        // eventID; a hash of the record's identity where it has none
	Time      time.Time `json:"time"`      // eventTime, UTC
	Source    string    `json:"source"`    // eventSource: SourceIAM or SourceSignin
	Name      string    `json:"name"`      // eventName: one of the watched names
	Partition string    `json:"partition"` // aws, aws-cn, aws-us-gov, … (R15)
	Account   string    `json:"account"`   // the account it happened in (R13); text, zeros and all
	Region    string    `json:"region,omitempty"`

	User    string `json:"user,omitempty"`     // whose MFA or credentials, as written; RootUser for root; "" where the record cannot tell (R10)
	NewUser string `json:"new_user,omitempty"` // UpdateUser: the name from now on, "" if unchanged (R24)
	Serial  string `json:"serial,omitempty"`   // the device, as written, of a sign-in the one used; "" where the record has none (R5)
	Detail  string `json:"detail,omitempty"`   // what was changed: the policy, group, credential or role; bounded

	Actor        Actor  `json:"actor"`
	ErrorCode    string `json:"error_code,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	MFAUsed      *bool  `json:"mfa_used,omitempty"` // sign-ins: whether a device was used; nil where the record does not say

	// These are set in mfawatch's own events only.
	Deadline int             `json:"deadline,omitempty"` // the number of the escalation, from 1
	Exposure string          `json:"exposure,omitempty"` // the exposure, campaign or attempt that the event is about
	Lane     string          `json:"lane,omitempty"`     // where it is folded; "": in its account
	Key      string          `json:"key,omitempty"`      // the subject within the lane
	Body     json.RawMessage `json:"body,omitempty"`     // what it says

	Origin string          `json:"origin,omitempty"` // where the record came from; shown, never parsed
	Raw    json.RawMessage `json:"raw,omitempty"`    // the record itself, on one line; nil for sign-ins with MFA and for the events of mfawatch
}

// An Actor made the call. Its text is the caller's own and not to be trusted:
// bounded in length here, to be escaped where it is shown.
type Actor struct {
	Type        string `json:"type,omitempty"` // userIdentity.type, as written (R8); AssumedRoot in an AssumeRoot session
	ARN         string `json:"arn,omitempty"`
	Name        string `json:"name,omitempty"` // user, role session or issuer; what a person would call the actor
	AccessKeyID string `json:"access_key_id,omitempty"`
	SourceIP    string `json:"source_ip,omitempty"` // sourceIPAddress, which need not be an address (R9)
	UserAgent   string `json:"user_agent,omitempty"`
	Self        bool   `json:"self,omitempty"`         // the target acting on itself (R14)
	MFA         *bool  `json:"mfa,omitempty"`          // mfaAuthenticated; nil where the record does not say (R6), as "false" does not of roles and federated users (J11)
	AssumedRoot bool   `json:"assumed_root,omitempty"` // an AssumeRoot session

	OnBehalfOf     string `json:"on_behalf_of,omitempty"`    // the Identity Center user of a role session
	SourceIdentity string `json:"source_identity,omitempty"` // of a role session, set once and kept through role chaining
	Via            string `json:"via,omitempty"`             // FederatedUser: the IAM user that federated them
}

// Failed reports whether the call failed: an error code or an error message
// (R2, R3).
func (e *Event) Failed() bool { return e.ErrorCode != "" || e.ErrorMessage != "" }

// Root reports whether the target is the root user.
func (e *Event) Root() bool { return e.User == RootUser }

// DeviceKind returns virtual, security_key, sms, hardware or unknown, by a serial
// number (R16).
func DeviceKind(serial string) string {
	switch {
	case serial == "":
		return "unknown"
	case !strings.HasPrefix(serial, "arn:"):
		return "hardware"
	case strings.Contains(serial, ":mfa/"):
		return "virtual"
	case strings.Contains(serial, ":u2f/"):
		return "security_key"
	case strings.Contains(serial, ":sms-mfa/"):
		return "sms"
	}
	return "unknown"
}

// An Origin is where bytes came from: a place, and the offset in it where the
// place has one. It becomes text only when it is shown, so that the hot path makes
// none.
type Origin struct {
	Place  string // "kafka://topic/3", "s3://bucket/key", a path
	Offset int64  // negative: none
}

// At is the origin of an offset in a place.
func At(place string, offset int64) Origin { return Origin{place, offset} }

// Place is the origin of a whole place.
func Place(place string) Origin { return Origin{place, -1} }

func (o Origin) String() string {
	if o.Offset < 0 {
		return o.Place
	}
	return o.Place + "@" + strconv.FormatInt(o.Offset, 10)
}

// A Visitor receives what a Scanner finds, in the order of the input.
type Visitor interface {
	// Event is given a watched record. It may keep e.
	Event(e *Event)
	// Unreadable is given a part that could not be read. It may keep u.
	Unreadable(u Unreadable)
}

// Unreadable is a part of the input that could not be read: counted, named and
// quarantined if it names a watched event, never a reason to stop.
type Unreadable struct {
	Origin  Origin
	Offset  int64  // in the inflated bytes of the part
	Reason  Reason // of a closed set: a metric's label
	Err     error  // what was wrong, for a person; never nil
	Watched bool   // it names a watched event
	Raw     []byte // the record, if Watched, bounded; else nil
}

// Stats counts what a scan saw.
type Stats struct {
	Records  int64 // CloudTrail records, watched or not
	Bytes    int64 // as they came
	Inflated int64 // after decompression
}

// Add adds t to s.
func (s *Stats) Add(t Stats) {
	s.Records += t.Records
	s.Bytes += t.Bytes
	s.Inflated += t.Inflated
}

// A Reason names a class of unreadable input.
type Reason string

// The reasons, each a value of the reason label.
const (
	ReasonTruncated   Reason = "truncated"    // the object or the record ends before its end
	ReasonCorrupt     Reason = "corrupt"      // the compressed data is damaged
	ReasonGarbage     Reason = "garbage"      // something follows the compressed data that is none
	ReasonFormat      Reason = "format"       // not JSON, and not a compression that is read: bzip2, parquet, …
	ReasonSyntax      Reason = "syntax"       // a watched record is not valid JSON
	ReasonRecord      Reason = "record"       // a watched record lacks what it must have: time, account
	ReasonAmbiguous   Reason = "ambiguous"    // a watched record names its event or source twice
	ReasonTooLarge    Reason = "too_large"    // a watched record or an envelope is over the bound
	ReasonTooDeep     Reason = "too_deep"     // nested over the bound
	ReasonStructure   Reason = "structure"    // braces or quotes do not match: a watched record may be lost
	ReasonTooInflated Reason = "too_inflated" // inflates over the bound: a gzip bomb
	ReasonECS         Reason = "ecs"          // a watched record in the Elastic Common Schema that lacks what it must have
	ReasonOCSF        Reason = "ocsf"         // a watched record in the Open Cybersecurity Schema Framework
)

// Reasons lists them all, so that each metric starts at zero.
var Reasons = []Reason{ReasonTruncated, ReasonCorrupt, ReasonGarbage, ReasonFormat, ReasonSyntax, ReasonRecord,
	ReasonAmbiguous, ReasonTooLarge, ReasonTooDeep, ReasonStructure, ReasonTooInflated, ReasonECS, ReasonOCSF}
