package trail

import (
	"fmt"
	"testing"
)

// signin renders a record of the sign-in service.
func signin(name, identity, more string) string {
	return fmt.Sprintf(`{"eventTime":"2026-05-01T08:03:11Z","eventSource":"signin.amazonaws.com","eventName":%q,"eventID":"e-2",`+
		`"recipientAccountId":"111122223333","userIdentity":{%s},%s"awsRegion":"us-east-1"}`, name, identity, more)
}

// J12: each change is read with what it concerns.
func TestJ12_Changes(t *testing.T) {
	iam := func(name, parameters, response string) string {
		return edit(t, `"DeactivateMFADevice"`, `"`+name+`"`, `{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`, parameters,
			`"responseElements":null`, `"responseElements":`+response)
	}
	bob := `"type":"IAMUser","userName":"bob","arn":"arn:aws:iam::111122223333:user/bob","accountId":"111122223333"`
	root := `"type":"Root","accountId":"111122223333"`
	for _, c := range []struct{ doc, user, detail string }{
		{iam(UpdateAccessKey, `{"userName":"bob","accessKeyId":"AKIA1","status":"Active"}`, "null"), "bob", "AKIA1 Active"},
		{iam(DeleteAccessKey, `{"userName":"bob","accessKeyId":"AKIA1"}`, "null"), "bob", "AKIA1"},
		{iam(CreateServiceSpecificCredential, `{"userName":"bob","serviceName":"bedrock.amazonaws.com"}`, `{"serviceSpecificCredential":{"serviceSpecificCredentialId":"ACCA1"}}`), "bob", "ACCA1"},
		{iam(DeleteServiceSpecificCredential, `{"userName":"bob","serviceSpecificCredentialId":"ACCA1"}`, "null"), "bob", "ACCA1"},
		{iam(UploadSSHPublicKey, `{"userName":"bob"}`, `{"sSHPublicKey":{"sSHPublicKeyId":"APKA1"}}`), "bob", "APKA1"},
		{iam(DeleteSSHPublicKey, `{"userName":"bob","sSHPublicKeyId":"APKA1"}`, "null"), "bob", "APKA1"},
		{iam(UploadSigningCertificate, `{"userName":"bob"}`, `{"certificate":{"certificateId":"CERT1"}}`), "bob", "CERT1"},
		{iam(DeleteSigningCertificate, `{"userName":"bob","certificateId":"CERT1"}`, "null"), "bob", "CERT1"},
		{iam(DetachUserPolicy, `{"userName":"bob","policyArn":"arn:aws:iam::aws:policy/Deny"}`, "null"), "bob", "arn:aws:iam::aws:policy/Deny"},
		{iam(DeleteUserPolicy, `{"userName":"bob","policyName":"deny"}`, "null"), "bob", "deny"},
		{iam(RemoveUserFromGroup, `{"userName":"bob","groupName":"staff"}`, "null"), "bob", "staff"},
		{iam(PutUserPermissionsBoundary, `{"userName":"bob","permissionsBoundary":"arn:aws:iam::aws:policy/All"}`, "null"), "bob", "arn:aws:iam::aws:policy/All"},
		{iam(DeleteUserPermissionsBoundary, `{"userName":"bob"}`, "null"), "bob", ""},
		{iam(ChangePassword, "null", "null"), "alice", ""},
		{signin(CreateOAuth2Token, bob, ""), "bob", ""},
		{signin(AuthorizeOAuth2Access, bob, ""), "bob", ""},
		{signin(SwitchRole, bob, `"responseElements":{"SwitchRole":"Success"},`), "bob", "arn:aws:iam::111122223333:user/bob"},
		{signin(SwitchRole, `"type":"AssumedRole","arn":"arn:aws:sts::444455556666:assumed-role/admin/bob","accountId":"444455556666"`,
			`"additionalEventData":{"SwitchFrom":"arn:aws:iam::111122223333:user/ops/bob"},"responseElements":{"SwitchRole":"Success"},`), "bob", "arn:aws:sts::444455556666:assumed-role/admin/bob"},
		{signin(PasswordRecoveryRequested, root, `"responseElements":{"PasswordRecoveryRequested":"Success"},`), RootUser, ""},
		{signin(PasswordRecoveryCompleted, root, ""), RootUser, ""},
		{signin(PasswordUpdated, root, `"responseElements":{"PasswordUpdated":"Success"},`), RootUser, ""},
		{signin(EmailUpdated, root, ""), RootUser, ""},
	} {
		e := one(t, c.doc)
		if e == nil || e.User != c.user || e.Detail != c.detail || e.Account != "111122223333" || e.Failed() {
			t.Errorf("%s: got %+v", c.doc, e)
		}
	}
	for _, doc := range []string{
		signin(SwitchRole, `"type":"AssumedRole"`, `"additionalEventData":{"SwitchFrom":"arn:aws:sts::1:assumed-role/x/y"},`),
		signin(PasswordUpdated, root, `"responseElements":{"PasswordUpdated":"Failure"},`),
		signin(PasswordUpdated, bob, ""),
		signin(CreateOAuth2Token, bob, `"errorCode":"AccessDenied",`),
	} {
		if e := one(t, doc); e != nil {
			t.Errorf("%s: got %+v", doc, e)
		}
	}
}

// J9: a sign-in names the device that it used, a copy is the event that it
// amends, and a name stands in the ARN where the record lacks it.
func TestJ9_WhatASignInSays(t *testing.T) {
	e := one(t, signin(ConsoleLogin, `"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ops/bob","accountId":"111122223333"`,
		`"addendum":{"reason":"UPDATED_DATA","originalEventID":"e-1"},"additionalEventData":{"MFAUsed":"Yes","MFAIdentifier":"arn:aws:iam::111122223333:mfa/a"},"responseElements":{"ConsoleLogin":"Success"},`))
	if e == nil || e.ID != "e-1" || e.User != "bob" || !e.Actor.Self || e.Serial != "arn:aws:iam::111122223333:mfa/a" {
		t.Errorf("%+v", e)
	}
	own := one(t, edit(t, `"type":"IAMUser","userName":"alice"`, `"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice"`, `"userName":"bob",`, ""))
	if own.User != "alice" || !own.Actor.Self {
		t.Errorf("%+v", own)
	}
}

// J11, J10: "false" says something of IAM users and root alone, and a federated
// user is named after the person.
func TestJ11_SessionsOfRoles(t *testing.T) {
	session := `,"sessionContext":{"attributes":{"mfaAuthenticated":"false"},"sessionIssuer":{"userName":"broker"}}`
	for _, c := range []struct {
		identity, name, via string
		known               bool
	}{
		{`"type":"IAMUser","userName":"ann"`, "ann", "", true},
		{`"type":"Root"`, "root", "", true},
		{`"type":"AssumedRole","principalId":"AROA:s"`, "broker/s", "", false},
		{`"type":"FederatedUser"`, "feddy", "broker", false},
	} {
		e := one(t, edit(t, `"type":"IAMUser","userName":"alice"`, c.identity+session, `iam::111122223333:user/alice`, `sts::111122223333:federated-user/feddy`))
		if e.Actor.Name != c.name || e.Actor.Via != c.via || (e.Actor.MFA != nil) != c.known {
			t.Errorf("%s: %+v", c.identity, e.Actor)
		}
	}
}
