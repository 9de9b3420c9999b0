package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxText is how long a caller's text may be. CloudTrail cuts at 1 KB itself.
const maxText = 1024

// event makes an Event of the record whose bytes are raw. The Event owns its
// memory.
func (r *record) event(raw []byte) (*Event, error) {
	when, err := r.when()
	if err != nil {
		return nil, err
	}
	var p parameters
	members(r.parameters, p.read)
	e := &Event{
		ID:           text(r.id),
		Time:         when.UTC().Truncate(time.Second),
		Source:       strings.Clone(r.source),
		Name:         strings.Clone(r.name),
		Region:       text(r.region),
		Serial:       text(p.serial),
		ErrorCode:    text(r.errorCode),
		ErrorMessage: text(r.errorMessage),
		Actor:        r.actor(),
	}
	if e.Name == CreateVirtualMFADevice {
		e.Serial = text(r.response.Get("virtualMFADevice.serialNumber").Str)
	}
	e.Account = text(r.account(e.Serial))
	if _, account := r.switchedFrom(); account != "" {
		e.Account = text(account)
	}
	if e.Account == "" {
		return nil, errors.New("the record names no account")
	}
	e.Partition = text(r.partition(e.Serial))
	e.User = text(r.target(p.user))
	if e.Failed() && e.Source == SourceIAM && !r.parameters.IsObject() {
		e.User, e.Serial = deniedTarget(e.ErrorMessage)
	}
	e.Actor.Self = r.self(e)
	switch e.Name {
	case UpdateUser:
		e.NewUser = text(p.newUser)
	case ConsoleLogin:
		e.MFAUsed = yesNo(r.additions.Get("MFAUsed").Str)
		e.Serial = text(r.additions.Get("MFAIdentifier").Str)
		if e.Failed() || strings.EqualFold(r.response.Get(ConsoleLogin).Str, "Failure") {
			e.ErrorMessage = firstOf(e.ErrorMessage, "Failed authentication")
			e.MFAUsed, e.Serial = nil, "" // a failed sign-in proves no device (R27)
		}
	case CheckMfa:
		yes := true
		e.MFAUsed = &yes
		e.Serial = text(r.additions.Get("MFAIdentifier").Str)
	case SwitchRole:
		e.Detail = text(r.identity.arn)
		if name, _ := r.switchedFrom(); name != "" { // the user's doing, though the record names the role
			e.Actor.Type, e.Actor.Name, e.Actor.ARN, e.Actor.Self = "IAMUser", e.User, text(r.additions.Get("SwitchFrom").Str), true
		}
	default:
		e.Detail = text(r.detail(&p))
	}
	if e.ID == "" {
		e.ID = r.hash(e.Account)
	}
	if e.MFAUsed == nil || !*e.MFAUsed {
		e.Raw = line(raw)
	}
	return e, nil
}

// detail names the credential or right that a change concerned.
func (r *record) detail(p *parameters) string {
	switch r.name {
	case AttachUserPolicy, DetachUserPolicy:
		return p.policyARN
	case PutUserPolicy, DeleteUserPolicy:
		return p.policy
	case PutUserPermissionsBoundary:
		return p.boundary
	case AddUserToGroup, RemoveUserFromGroup:
		return p.group
	case CreateAccessKey:
		return r.response.Get("accessKey.accessKeyId").Str
	case UpdateAccessKey, DeleteAccessKey:
		return strings.TrimSpace(p.accessKey + " " + p.status)
	case CreateServiceSpecificCredential:
		return r.response.Get("serviceSpecificCredential.serviceSpecificCredentialId").Str
	case UploadSSHPublicKey:
		return r.response.Get("sSHPublicKey.sSHPublicKeyId").Str
	case UploadSigningCertificate:
		return r.response.Get("certificate.certificateId").Str
	case DeleteServiceSpecificCredential, DeleteSSHPublicKey, DeleteSigningCertificate:
		return p.credential
	}
	return ""
}

// when is eventTime: as CloudTrail writes it, as SQL engines do, or as the
// seconds or milliseconds since 1970 that pipelines turn it into.
func (r *record) when() (time.Time, error) {
	const firstMilli = 1e11 // as seconds: the year 5138
	if r.epoch {
		n, err := strconv.ParseFloat(r.time, 64)
		switch {
		case err != nil || n <= 0 || n >= 1000*firstMilli:
			return time.Time{}, fmt.Errorf("eventTime %s is no time", text(r.time))
		case n >= firstMilli:
			return time.UnixMilli(int64(n)), nil
		}
		return time.Unix(int64(n), 0), nil
	}
	when, err := time.Parse(time.RFC3339, r.time)
	if err != nil {
		when, err = time.Parse(time.DateTime, r.time)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("eventTime %q is no time", text(r.time))
	}
	return when, nil
}

// parameters are the request's, of whichever call.
type parameters struct {
	user, newUser, serial    string
	policyARN, policy, group string
	accessKey, status        string
	credential, boundary     string
}

func (p *parameters) read(key string, v gjson.Result) {
	switch key {
	case "userName":
		p.user = v.Str
	case "newUserName":
		p.newUser = v.Str
	case "serialNumber":
		p.serial = v.Str
	case "policyArn":
		p.policyARN = v.Str
	case "policyName":
		p.policy = v.Str
	case "groupName":
		p.group = v.Str
	case "accessKeyId":
		p.accessKey = v.Str
	case "status":
		p.status = v.Str
	case "serviceSpecificCredentialId", "sSHPublicKeyId", "certificateId":
		p.credential = v.Str
	case "permissionsBoundary":
		p.boundary = v.Str
	}
}

// account is whose account it happened in (R13).
func (r *record) account(serial string) string {
	return firstOf(r.recipient, r.identity.account, arnField(serial, 4), arnField(r.identity.arn, 4))
}

// partition comes from whatever ARN the record has, else from the Region (R15). The
// serial of a call that failed may be the caller's own.
func (r *record) partition(serial string) string {
	if p := firstOf(arnField(r.identity.arn, 1), arnField(r.identity.issuerARN, 1), arnField(serial, 1)); p != "" {
		return p
	}
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"},
		{"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(r.region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

// arnField is the n-th part of an ARN, "" if it is none.
func arnField(arn string, n int) string {
	if !strings.HasPrefix(arn, "arn:") {
		return ""
	}
	if strings.Count(arn, ":") < 5 {
		return ""
	}
	for range n {
		_, arn, _ = strings.Cut(arn, ":")
	}
	if n < 5 {
		arn, _, _ = strings.Cut(arn, ":")
	}
	return arn
}

// target is whose MFA or credentials the call was about (R10, R11), where named
// is the userName in its parameters; "" where the record does not say.
func (r *record) target(named string) string {
	if r.source == SourceSignin {
		if r.identity.kind == "Root" {
			return RootUser
		}
		if name, _ := r.switchedFrom(); name != "" {
			return name
		}
		return r.identity.name()
	}
	if named != "" {
		return named
	}
	if r.name == CreateAccessKey {
		if name := r.response.Get("accessKey.userName").Str; name != "" {
			return name
		}
	}
	switch {
	case r.name == DeleteVirtualMFADevice || r.name == CreateVirtualMFADevice:
		return "" // these are about a device, whosever it is
	case r.identity.assumedRoot || r.identity.kind == "Root":
		return RootUser
	case r.identity.kind == "IAMUser":
		return r.identity.name()
	}
	return ""
}

// deniedTarget reads the target out of an authorisation failure, whose
// requestParameters IAM leaves null: "… is not authorized to perform:
// iam:DeactivateMFADevice on resource: user bob because …", an ARN, or "*".
func deniedTarget(message string) (user, serial string) {
	_, rest, ok := strings.Cut(message, " is not authorized to perform: ")
	if !ok {
		return "", ""
	}
	_, resource, ok := strings.Cut(rest, " on resource: ")
	if !ok {
		return "", ""
	}
	kind, rest, _ := strings.Cut(resource, " ")
	if kind == "user" {
		name, _, _ := strings.Cut(rest, " ")
		return strings.TrimRight(name, ".,"), ""
	}
	switch resource := arnField(kind, 5); {
	case resource == "root":
		return RootUser, ""
	case strings.HasPrefix(resource, "user/"):
		return resource[strings.LastIndexByte(resource, '/')+1:], ""
	case strings.HasPrefix(resource, "mfa/"), strings.HasPrefix(resource, "u2f/"), strings.HasPrefix(resource, "sms-mfa/"):
		return "", kind
	}
	return "", ""
}

// reservedRole begins the roles of Identity Center, whose sessions are named after
// the person. AWS alone makes roles there; every administrator may name one alike.
const reservedRole = "role/aws-reserved/sso.amazonaws.com/"

// actor returns the caller.
func (r *record) actor() Actor {
	id := &r.identity
	a := Actor{
		Type:        text(id.kind),
		ARN:         text(id.arn),
		AccessKeyID: text(id.key),
		SourceIP:    text(r.sourceIP),
		UserAgent:   text(r.userAgent),
		AssumedRoot: id.assumedRoot,

		OnBehalfOf:     text(id.onBehalfOf),
		SourceIdentity: text(id.sourceIdentity),
	}
	switch id.mfa.Type {
	case gjson.True, gjson.False:
		yes := id.mfa.Bool()
		a.MFA = &yes
	case gjson.String:
		a.MFA = yesNo(id.mfa.Str)
	}
	if a.MFA != nil && !*a.MFA && (id.assumedRoot || id.kind != "IAMUser" && id.kind != "Root") {
		a.MFA = nil // who assumes a role may have used a device elsewhere (J11)
	}
	_, session, _ := strings.Cut(id.principal, ":")
	roleSession, _ := strings.CutPrefix(arnField(id.arn, 5), "assumed-role/")
	switch {
	case a.AssumedRoot:
		a.Type = "AssumedRoot"
		a.Name = text(firstOf(session, id.issuer, "root"))
	case a.Type == "Root":
		a.Name = "root" // its userName is the account's alias (R11)
	case strings.HasPrefix(arnField(id.issuerARN, 5), reservedRole) && session != "":
		a.Name = text(session) // the person, by the name of the Identity Center session
	case a.Type == "FederatedUser" && strings.Contains(id.arn, ":federated-user/"):
		a.Name, a.Via = text(lastOf(id.arn)), text(id.issuer)
	case a.Type == "AssumedRole" && id.issuer != "" && session != "":
		a.Name = text(id.issuer + "/" + session)
	case a.Type == "AssumedRole" && strings.Contains(roleSession, "/"): // never the session alone, which the caller names
		a.Name = text(roleSession)
	default:
		a.Name = text(firstOf(id.name(), id.issuer, session, id.invokedBy, lastOf(a.ARN), id.principal))
	}
	return a
}

// self reports whether the actor acted on itself (R14).
func (r *record) self(e *Event) bool {
	if e.User == "" || e.Actor.AssumedRoot {
		return false
	}
	if account := r.identity.account; account != "" && account != e.Account {
		return false
	}
	switch e.Actor.Type {
	case "Root":
		return e.Root()
	case "IAMUser":
		return strings.EqualFold(r.identity.name(), e.User)
	}
	return false
}

// hash stands in for an eventID that is missing.
func (r *record) hash(account string) string {
	h := sha256.New()
	for _, part := range []string{account, r.time, r.name, r.source, r.requestID, r.parameters.Raw} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "hash-" + hex.EncodeToString(h.Sum(nil)[:16])
}

func yesNo(s string) *bool {
	yes := strings.EqualFold(s, "yes") || strings.EqualFold(s, "true")
	if !yes && !strings.EqualFold(s, "no") && !strings.EqualFold(s, "false") {
		return nil
	}
	return &yes
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

func lastOf(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }

// text is a copy of s, valid UTF-8 and no longer than maxText.
func text(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > maxText-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if utf8.ValidString(s) {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// line is a copy of the record on one line, valid UTF-8.
func line(raw []byte) json.RawMessage {
	if bytes.IndexByte(raw, '\n') >= 0 {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil
		}
		raw = b.Bytes()
	}
	if utf8.Valid(raw) {
		return bytes.Clone(raw)
	}
	return bytes.ToValidUTF8(raw, []byte("\uFFFD"))
}
