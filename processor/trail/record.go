package trail

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

var (
	errAmbiguous = errors.New("the record has two eventName or eventSource members")
	errSyntax    = errors.New("the record is not valid JSON")
	errSource    = errors.New("the record's eventSource is not a string")
)

// watchedNames are the names of records that may matter.
var watchedNames = [...]string{
	DeactivateMFADevice, EnableMFADevice, ResyncMFADevice, CreateVirtualMFADevice, DeleteVirtualMFADevice,
	CreateUser, UpdateUser, DeleteUser,
	CreateLoginProfile, UpdateLoginProfile, DeleteLoginProfile,
	CreateAccessKey, UpdateAccessKey, DeleteAccessKey,
	AttachUserPolicy, PutUserPolicy, AddUserToGroup,
	ChangePassword, CreateServiceSpecificCredential, DeleteServiceSpecificCredential,
	UploadSSHPublicKey, DeleteSSHPublicKey, UploadSigningCertificate, DeleteSigningCertificate,
	DetachUserPolicy, DeleteUserPolicy, RemoveUserFromGroup,
	PutUserPermissionsBoundary, DeleteUserPermissionsBoundary,
	ConsoleLogin, CheckMfa, SwitchRole, CreateOAuth2Token, AuthorizeOAuth2Access,
	PasswordRecoveryRequested, PasswordRecoveryCompleted, PasswordUpdated, EmailUpdated,
}

// outlines are those of the watched names, which few others share.
var outlines = func() (is [256]bool) {
	for _, name := range watchedNames {
		is[outline([]byte(name))] = true
	}
	return is
}()

func outline(name []byte) uint8 {
	return name[0]<<3 ^ name[len(name)-1] ^ uint8(len(name))<<2
}

// watched reports whether a record of this name may matter.
func watched(name []byte) bool {
	return len(name) > 0 && outlines[outline(name)] && slices.Contains(watchedNames[:], string(name))
}

// ofSignin reports whether the name is one that the sign-in service records.
func ofSignin(name string) bool {
	switch name {
	case ConsoleLogin, CheckMfa, SwitchRole, CreateOAuth2Token, AuthorizeOAuth2Access:
		return true
	}
	return ofRootSignin(name)
}

// ofRootSignin reports whether the name is one that concerns root alone.
func ofRootSignin(name string) bool {
	switch name {
	case PasswordRecoveryRequested, PasswordRecoveryCompleted, PasswordUpdated, EmailUpdated:
		return true
	}
	return false
}

// A record is a CloudTrail record as it lies in the window: the members of its
// top level that are of use, and those of the caller's identity.
type record struct {
	source, name, id, original, time              string
	category, region, recipient                   string
	errorCode, errorMessage, requestID            string
	sourceIP, userAgent                           string
	identity                                      identity
	userIdentity, parameters, response, additions gjson.Result
	names, sources                                int
	isDated                                       bool // it has an eventID or an eventTime of any kind
	epoch                                         bool // eventTime is a number
	notification                                  bool // an S3 notification looks much like a record (R39)
}

// read fills r from the object in doc, sharing its memory.
func (r *record) read(doc string) {
	*r = record{}
	gjson.Parse(doc).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "eventSource":
			r.source, r.sources = value.Str, r.sources+1
		case eventName:
			r.name, r.names = value.Str, r.names+1
		case "addendum": // a later copy of an event, under an ID of its own
			r.original = value.Get("originalEventID").Str
		case "eventID":
			r.id = value.Str
			r.isDated = r.isDated || !empty(value)
		case "eventTime":
			r.time = value.Str
			if r.epoch = value.Type == gjson.Number; r.epoch {
				r.time = value.Raw
			}
			r.isDated = r.isDated || !empty(value)
		case "eventCategory":
			r.category = value.Str
		case "awsRegion":
			r.region = value.Str
		case "recipientAccountId":
			r.recipient = value.Str
		case "errorCode":
			r.errorCode = value.Str
		case "errorMessage":
			r.errorMessage = value.Str
		case "requestID":
			r.requestID = value.Str
		case "sourceIPAddress":
			r.sourceIP = value.Str
		case "userAgent":
			r.userAgent = value.Str
		case "userIdentity":
			r.userIdentity = value
		case "requestParameters":
			r.parameters = value
		case "responseElements":
			r.response = value
		case "additionalEventData":
			r.additions = value
		case "s3":
			r.notification = true
		}
		return true
	})
	r.id = firstOf(r.original, r.id)
	r.identity.read(r.userIdentity)
}

// An identity is the caller's, as a record has it.
type identity struct {
	kind, principal, arn, account string
	key, user, invokedBy          string
	mfa                           gjson.Result
	issuer, issuerARN             string
	onBehalfOf, sourceIdentity    string
	assumedRoot                   bool
}

func (id *identity) read(v gjson.Result) {
	members(v, func(key string, v gjson.Result) {
		switch key {
		case "type":
			id.kind = v.Str
		case "principalId":
			id.principal = v.Str
		case "arn":
			id.arn = v.Str
		case "accountId":
			id.account = v.Str
		case "accessKeyId":
			id.key = v.Str
		case "userName":
			id.user = v.Str
		case "invokedBy":
			id.invokedBy = v.Str
		case "onBehalfOf":
			id.onBehalfOf = v.Get("userId").Str
		case "sessionContext":
			members(v, id.session)
		}
	})
}

func (id *identity) session(key string, v gjson.Result) {
	switch key {
	case "assumedRoot":
		id.assumedRoot = strings.EqualFold(v.String(), "true")
	case "attributes":
		id.mfa = v.Get("mfaAuthenticated")
	case "sessionIssuer":
		id.issuer, id.issuerARN = v.Get("userName").Str, v.Get("arn").Str
	case "sourceIdentity":
		id.sourceIdentity = v.Str
	}
}

// members calls f for each member of v, if that is an object.
func members(v gjson.Result, f func(key string, v gjson.Result)) {
	if v.IsObject() {
		v.ForEach(func(key, value gjson.Result) bool {
			f(key.Str, value)
			return true
		})
	}
}

// dated reports whether it has an ID or a time, as a record has and a mention of
// one has not.
func (r *record) dated() bool { return r.isDated && !r.notification }

func empty(v gjson.Result) bool { return v.Type == gjson.Null || v.Raw == `""` }

// A test is the first one that a record of a watched name did not pass.
type test uint8

const (
	passed test = iota
	isCall
	isSource
	isOfSource
	succeeded
	isUser
	letIn
)

// fails is the test that keeps the record from becoming an Event.
func (r *record) fails() test {
	failed := r.errorCode != "" || r.errorMessage != ""
	switch {
	case r.category == "Insight" || r.category == "Aggregated":
		return isCall
	case r.source != SourceIAM && r.source != SourceSignin:
		return isSource
	case (r.source == SourceSignin) != ofSignin(r.name):
		return isOfSource
	case r.source == SourceIAM:
		switch r.name {
		case DeactivateMFADevice, DeleteVirtualMFADevice, EnableMFADevice:
			return passed // a failed one is an attempt
		}
		if failed {
			return succeeded
		}
		return passed
	}
	return r.signinFails(failed)
}

// hiddenName stands for the name in a failed sign-in that is no user's.
const hiddenName = "HIDDEN_DUE_TO_SECURITY_REASONS"

// signinFails is fails for a record of the sign-in service. MFAUsed is always No
// for roles and federated sign-ins (R26).
func (r *record) signinFails(failed bool) test {
	kind, outcome := r.identity.kind, r.response.Get(r.name).Str
	name, _ := r.switchedFrom()
	switch {
	case r.name == ConsoleLogin && (failed || strings.EqualFold(outcome, "Failure")): // which may be a guess at a password
		if kind == "Root" || kind == "IAMUser" && r.identity.name() != "" && r.identity.name() != hiddenName {
			return passed
		}
		return isUser
	case failed:
		return succeeded
	case r.name == SwitchRole && name != "":
	case kind != "Root" && (kind != "IAMUser" || ofRootSignin(r.name)):
		return isUser
	}
	needed := r.name == ConsoleLogin || r.name == CheckMfa
	if (needed || outcome != "") && !strings.EqualFold(outcome, "Success") {
		return letIn
	}
	return passed
}

// switchedFrom is the user of a SwitchRole and the account it is in: the caller
// of the record may be the role.
func (r *record) switchedFrom() (name, account string) {
	if r.name != SwitchRole {
		return "", ""
	}
	arn := r.additions.Get("SwitchFrom").Str
	name, ok := strings.CutPrefix(arnField(arn, 5), "user/")
	if !ok {
		return "", ""
	}
	return lastOf(name), arnField(arn, 4)
}

// name is an IAM user's name, from the ARN if nothing else has it.
func (id *identity) name() string {
	if id.user != "" || id.kind != "IAMUser" {
		return id.user
	}
	name, ok := strings.CutPrefix(arnField(id.arn, 5), "user/")
	if !ok {
		return ""
	}
	return lastOf(name)
}

// record reads the object b, which has the members of a record and a watched
// eventName, and stands at w[at:] of the window.
func (s *Scanner) record(b []byte, at int) {
	r := &s.rec
	r.read(view(b))
	defer func() { *r = record{} }() // it shares the window's memory
	switch {
	case !r.dated(): // mentions one
		return
	case r.names > 1 || r.sources > 1:
		s.unreadable(at, ReasonAmbiguous, errAmbiguous, b)
		return
	case r.source == "":
		s.unreadable(at, ReasonRecord, errSource, b)
		return
	case nestedTooDeep(b):
		s.unreadable(at, ReasonTooDeep, errTooDeep, b)
		return
	}
	if t := r.fails(); t != passed {
		if x, ok := s.visitor.(Explainer); ok {
			x.Ignored(r.ignored(t, s.origin))
		}
		return
	}
	if !gjson.ValidBytes(b) {
		s.unreadable(at, ReasonSyntax, errSyntax, b)
		return
	}
	e, err := r.event(b)
	if err != nil {
		s.unreadable(at, ReasonRecord, err, b)
		return
	}
	e.Origin = s.origin.String()
	s.visitor.Event(e)
}

// nestedTooDeep reports whether objects and lists in b are nested deeper than
// maxNesting. Most records have fewer brackets in all.
func nestedTooDeep(b []byte) bool {
	if bytes.Count(b, []byte("{"))+bytes.Count(b, []byte("[")) <= maxNesting {
		return false
	}
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if i = escape.StringEnd(b, i+1); i < 0 {
				return false
			}
		case opens(c):
			if depth++; depth > maxNesting {
				return true
			}
		case closes(c):
			depth--
		}
	}
	return false
}
