package exposure

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The kinds of what a change gives (J13).
const (
	givenPassword    = "password"
	givenAccessKey   = "access_key"
	givenCredential  = "service_credential"
	givenSSHKey      = "ssh_key"
	givenCertificate = "signing_certificate"
	givenPolicy      = "policy"
	givenInline      = "inline_policy"
	givenGroup       = "group"
	givenEmail       = "email"
)

// SessionLength is how long a session may live: sessions cannot be followed.
const SessionLength = 12 * time.Hour

// effect describes how a call changes the credentials or rights of its user (J12).
type effect struct {
	gives, takes string // a kind; "" for none
	changes      bool   // it counts as a change, unless it undoes one
	leaver       bool   // an off-boarding needs it, too
}

var effects = map[string]effect{
	trail.CreateLoginProfile:              {gives: givenPassword, changes: true},
	trail.UpdateLoginProfile:              {gives: givenPassword, changes: true},
	trail.DeleteLoginProfile:              {takes: givenPassword},
	trail.CreateAccessKey:                 {gives: givenAccessKey, changes: true},
	trail.DeleteAccessKey:                 {takes: givenAccessKey},
	trail.CreateServiceSpecificCredential: {gives: givenCredential, changes: true},
	trail.DeleteServiceSpecificCredential: {takes: givenCredential},
	trail.UploadSSHPublicKey:              {gives: givenSSHKey, changes: true},
	trail.DeleteSSHPublicKey:              {takes: givenSSHKey},
	trail.UploadSigningCertificate:        {gives: givenCertificate, changes: true},
	trail.DeleteSigningCertificate:        {takes: givenCertificate},
	trail.AttachUserPolicy:                {gives: givenPolicy, changes: true},
	trail.DetachUserPolicy:                {takes: givenPolicy, changes: true, leaver: true},
	trail.PutUserPolicy:                   {gives: givenInline, changes: true},
	trail.DeleteUserPolicy:                {takes: givenInline, changes: true, leaver: true},
	trail.AddUserToGroup:                  {gives: givenGroup, changes: true},
	trail.RemoveUserFromGroup:             {takes: givenGroup, changes: true, leaver: true},
	trail.PutUserPermissionsBoundary:      {changes: true},
	trail.DeleteUserPermissionsBoundary:   {changes: true, leaver: true},
	trail.SwitchRole:                      {changes: true},
	trail.CreateOAuth2Token:               {changes: true},
	trail.AuthorizeOAuth2Access:           {changes: true},
	trail.PasswordRecoveryRequested:       {changes: true},
	trail.PasswordRecoveryCompleted:       {gives: givenPassword, changes: true},
	trail.PasswordUpdated:                 {gives: givenPassword, changes: true},
	trail.EmailUpdated:                    {gives: givenEmail, changes: true},
}

// effectOf returns the effect of an event and what it concerns.
func effectOf(e *trail.Event) (effect, string) {
	taken := effect{takes: givenPassword}
	switch e.Name {
	case trail.UpdateAccessKey:
		key, status, _ := strings.Cut(e.Detail, " ")
		if strings.EqualFold(status, "Inactive") {
			return effect{takes: givenAccessKey}, key
		}
		return effect{gives: givenAccessKey, changes: true}, key
	case trail.ChangePassword, trail.PasswordUpdated: // in a session with MFA, the user has it back
		if e.Actor.MFA != nil && *e.Actor.MFA {
			return taken, ""
		}
		return effect{gives: givenPassword, changes: true}, ""
	}
	f := effects[e.Name]
	if f.gives == givenPassword || f.takes == givenPassword {
		return f, ""
	}
	return f, e.Detail
}

// IsSession reports whether the event begins a session, which ends by itself.
func IsSession(e *trail.Event) bool {
	switch e.Name {
	case trail.SwitchRole, trail.CreateOAuth2Token, trail.AuthorizeOAuth2Access:
		return true
	}
	return false
}

// givenKey names a credential or right of one user.
type givenKey struct{ kind, id string }

// given is a credential or right that was given and not taken back.
type given struct {
	ev *trail.Event
	x  *Exposure // that it was given in; nil: in none
}

// give records that the event gave something to p while x was open; nil: none
// was, but it may turn out to be the prelude of one.
func (p *identity) give(kind, id string, e *trail.Event, x *Exposure) {
	if kind == "" {
		return
	}
	if p.given == nil {
		p.given = map[givenKey]*given{}
	}
	p.given[givenKey{kind, id}] = &given{e, x}
}

// takeBack records that it was taken from p, and reports whether it had been
// given in the open exposure or its prelude.
func (p *identity) takeBack(kind, id string) bool {
	g := p.given[givenKey{kind, id}]
	delete(p.given, givenKey{kind, id})
	return g != nil && g.x != nil && g.x == p.open
}

// leftBehind lists what was given in x and still stands, in order of time.
func (x *Exposure) leftBehind() []AlertLeftBehind {
	var left []AlertLeftBehind
	for k, g := range x.identity.given {
		if g.x == x {
			left = append(left, AlertLeftBehind{Kind: k.kind, ID: k.id, Time: g.ev.Time.UTC()})
		}
	}
	slices.SortFunc(left, func(a, b AlertLeftBehind) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
	})
	return left
}
