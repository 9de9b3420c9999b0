package trail

import (
	"strings"
	"testing"
)

func TestR10_Target(t *testing.T) {
	const parameters = `{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`
	serialOnly := `{"serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`
	for _, c := range []struct {
		what, identity, parameters, user string
	}{
		{"named", `"type":"IAMUser","userName":"alice"`, parameters, "bob"},
		{"absent: the caller", `"type":"IAMUser","userName":"alice"`, serialOnly, "alice"},
		{"empty: the caller", `"type":"IAMUser","userName":"alice"`, `{"userName":""}`, "alice"},
		{"absent, by root: root", `"type":"Root"`, serialOnly, RootUser},
		{"absent, by a role: unresolved", `"type":"AssumedRole","userName":"x"`, serialOnly, ""},
		{"absent, by a federated user: unresolved", `"type":"FederatedUser"`, serialOnly, ""},
		{"absent, in an AssumeRoot session: root", `"type":"AssumedRole","sessionContext":{"assumedRoot":"true"}`, serialOnly, RootUser},
		{"no identity at all: unresolved", `"x":1`, serialOnly, ""},
	} {
		e := one(t, edit(t, `"type":"IAMUser","userName":"alice"`, c.identity, parameters, c.parameters))
		if e == nil || e.User != c.user {
			t.Errorf("%s: %+v, want user %q", c.what, e, c.user)
		}
	}
}

func TestR10_TargetOfADeniedAttempt(t *testing.T) {
	const denied = "User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: iam:DeactivateMFADevice"
	for _, c := range []struct{ message, user, serial string }{
		{denied + " on resource: user bob because no identity-based policy allows the iam:DeactivateMFADevice action", "bob", ""},
		{denied + " on resource: user bob", "bob", ""},
		{denied + " on resource: user bob.", "bob", ""},
		{denied + " on resource: arn:aws:iam::111122223333:user/ops/bob because …", "bob", ""},
		{denied + " on resource: arn:aws:iam::111122223333:root because …", RootUser, ""},
		{denied + " on resource: arn:aws:iam::111122223333:mfa/bob-phone with an explicit deny", "", "arn:aws:iam::111122223333:mfa/bob-phone"},
		{denied + " on resource: * because …", "", ""},
		{denied, "", ""},
		{"User: on resource: user trap is not authorized to perform: iam:DeactivateMFADevice on resource: user bob", "bob", ""},
		{"User is not authorized", "", ""},
		{"", "", ""},
	} {
		e := one(t, edit(t, `"awsRegion"`, `"errorCode":"AccessDenied","errorMessage":"`+c.message+`","awsRegion"`,
			`{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`, "null"))
		if e == nil || e.User != c.user || e.Serial != c.serial {
			t.Errorf("%q: user %q, serial %q; want %q, %q", c.message, e.User, e.Serial, c.user, c.serial)
		}
	}
}

func TestR11_Root(t *testing.T) {
	byRole := one(t, edit(t, `"userName":"bob"`, `"userName":"AWS ROOT USER"`, `"IAMUser"`, `"AssumedRole"`))
	if !byRole.Root() || byRole.Actor.Self {
		t.Errorf("by a role: %+v", byRole)
	}
	alias := one(t, edit(t, `"type":"IAMUser","userName":"alice"`, `"type":"Root","userName":"acme-alias"`, `"userName":"bob",`, ``))
	if alias.User != RootUser || alias.Actor.Name != "root" || !alias.Actor.Self {
		t.Errorf("with an alias: %+v", alias)
	}
	onUser := one(t, edit(t, `"type":"IAMUser","userName":"alice"`, `"type":"Root","userName":"bob"`))
	if onUser.User != "bob" || onUser.Actor.Self {
		t.Errorf("on an IAM user who is named like the alias: %+v", onUser)
	}
}

func TestR13_Account(t *testing.T) {
	for _, c := range []struct{ recipient, identity, account string }{
		{`"recipientAccountId":"000000000042",`, `"accountId":"111122223333"`, "000000000042"},
		{``, `"accountId":"012345678901"`, "012345678901"},
		{``, `"x":1`, "111122223333"}, // the serial's
		{`"recipientAccountId":"1234567890123",`, `"x":1`, "1234567890123"},
	} {
		e := one(t, edit(t, `"awsRegion"`, c.recipient+`"awsRegion"`, `"accountId":"111122223333"`, c.identity))
		if e == nil || e.Account != c.account {
			t.Errorf("%+v: %+v", c, e)
		}
	}
	v, _ := scanBytes(t, edit(t, `"arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"`, `"x":1`, `arn:aws:iam::111122223333:mfa/bob-phone`, `GAHT12345678`))
	if v.reasons() != "record" {
		t.Errorf("no account at all: %q %q, want it unreadable", v.names(), v.reasons())
	}
}

func TestR14_Self(t *testing.T) {
	for _, c := range []struct {
		pairs []string
		self  bool
	}{
		{nil, false},
		{[]string{`"userName":"bob"`, `"userName":"alice"`}, true},
		{[]string{`"userName":"bob"`, `"userName":"ALICE"`}, true},
		{[]string{`"userName":"bob"`, `"userName":"alice"`, `"awsRegion"`, `"recipientAccountId":"999","awsRegion"`}, false},
		{[]string{`"userName":"bob"`, `"userName":"alice"`, `"IAMUser"`, `"AssumedRole"`}, false},
		{[]string{`"type":"IAMUser","userName":"alice"`, `"type":"Root"`, `"userName":"bob"`, `"userName":"AWS ROOT USER"`}, true},
		{[]string{`"type":"IAMUser","userName":"alice"`, `"type":"Root","sessionContext":{"assumedRoot":"true"}`, `"userName":"bob"`, `"userName":"AWS ROOT USER"`}, false},
	} {
		if e := one(t, edit(t, c.pairs...)); e == nil || e.Actor.Self != c.self {
			t.Errorf("%q: self %t, want %t", c.pairs, e.Actor.Self, c.self)
		}
	}
}

func TestR15_Partition(t *testing.T) {
	for arn, want := range map[string]string{"arn:aws-cn:": "aws-cn", "arn:aws-us-gov:": "aws-us-gov", "arn:aws-iso-b:": "aws-iso-b", "arn:aws:": "aws"} {
		e := one(t, strings.ReplaceAll(minimal, "arn:aws:", arn))
		if e == nil || e.Partition != want || DeviceKind(e.Serial) != "virtual" {
			t.Errorf("%s: %+v", arn, e)
		}
	}
	e := one(t, edit(t, `arn:aws:iam::111122223333:mfa/bob-phone`, `GAHT12345678`, `"arn":"arn:aws:iam::111122223333:user/alice",`, ``, `us-east-1`, `cn-north-1`))
	if e == nil || e.Partition != "aws-cn" {
		t.Errorf("by Region: %+v", e)
	}
	e = one(t, edit(t, `arn:aws:iam::111122223333:mfa`, `arn:aws-cn:iam::111122223333:mfa`, `"responseElements":null`, `"errorCode":"NoSuchEntity"`))
	if e == nil || e.Partition != "aws" {
		t.Errorf("the serial of a failed call moves it: %+v", e)
	}
}

func TestR16_SerialKinds(t *testing.T) {
	for serial, kind := range map[string]string{
		"arn:aws:iam::111122223333:mfa/bob-phone":               "virtual",
		"arn:aws:iam::111122223333:mfa/root-account-mfa-device": "virtual",
		"arn:aws-cn:iam::111122223333:mfa/path/bob":             "virtual",
		"arn:aws:iam::111122223333:u2f/user/bob/key-ABC":        "security_key",
		"arn:aws:iam::111122223333:sms-mfa/bob":                 "sms",
		"GAHT12345678":                                          "hardware",
		"arn:aws:iam::111122223333:new-kind/bob":                "unknown",
		"":                                                      "unknown",
	} {
		if got := DeviceKind(serial); got != kind {
			t.Errorf("%q is %s, want %s", serial, got, kind)
		}
	}
	e := one(t, edit(t, `"userName":"bob",`, ``, `mfa/bob-phone`, `u2f/user/carol/key-1`, `"IAMUser"`, `"AssumedRole"`))
	if e.User != "" {
		t.Errorf("the user %q was taken from the serial", e.User)
	}
}

func TestActors(t *testing.T) {
	for _, c := range []struct{ identity, kind, name string }{
		{`{"type":"IAMUser","userName":"alice"}`, "IAMUser", "alice"},
		{`{"type":"Root","userName":"alias"}`, "Root", "root"},
		{`{"type":"AssumedRole","principalId":"AROAX:ci","sessionContext":{"sessionIssuer":{"userName":"deploy"}}}`, "AssumedRole", "deploy/ci"},
		{`{"type":"AssumedRole","principalId":"AROAX:jane@example.com","sessionContext":{"sessionIssuer":{"userName":"AWSReservedSSO_Admin_0123456789abcdef","arn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"}}}`, "AssumedRole", "jane@example.com"},
		{`{"type":"AssumedRole","principalId":"AROAX:jane@example.com","sessionContext":{"sessionIssuer":{"userName":"AWSReservedSSO_Admin","arn":"arn:aws:iam::111122223333:role/AWSReservedSSO_Admin"}}}`, "AssumedRole", "AWSReservedSSO_Admin/jane@example.com"},
		{`{"type":"AssumedRole","principalId":"AROAX:jane","sessionContext":{"sessionIssuer":{"userName":"AWSReservedSSO_Admin","arn":"arn:aws:iam::111122223333:role/x/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin"}}}`, "AssumedRole", "AWSReservedSSO_Admin/jane"},
		{`{"type":"AssumedRole","principalId":"AROAX:alice","arn":"arn:aws:sts::111122223333:assumed-role/evil/alice"}`, "AssumedRole", "evil/alice"},
		{`{"type":"AssumedRole","principalId":"AROAX:mgmt","sessionContext":{"assumedRoot":"true","sessionIssuer":{}}}`, "AssumedRoot", "mgmt"},
		{`{"type":"FederatedUser","principalId":"1:fed","sessionContext":{"sessionIssuer":{"userName":"alice"}}}`, "FederatedUser", "alice"},
		{`{"type":"AWSService","invokedBy":"config.amazonaws.com"}`, "AWSService", "config.amazonaws.com"},
		{`{"type":"AWSAccount","arn":"arn:aws:sts::1:assumed-role/r/s"}`, "AWSAccount", "s"},
		{`null`, "", ""},
		{`"text"`, "", ""},
	} {
		e := one(t, edit(t, `{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"}`, c.identity))
		if e == nil || e.Actor.Type != c.kind || e.Actor.Name != c.name {
			t.Errorf("%s: %+v", c.identity, e)
		}
	}
}

func TestMissingEventID(t *testing.T) {
	a := one(t, edit(t, `,"eventID":"e-1"`, ``))
	again := one(t, edit(t, `,"eventID":"e-1"`, ``))
	other := one(t, edit(t, `,"eventID":"e-1"`, ``, `"userName":"bob"`, `"userName":"carol"`))
	if a.ID == "" || a.ID != again.ID || a.ID == other.ID {
		t.Errorf("hashes are %q, %q and %q", a.ID, again.ID, other.ID)
	}
}

func TestHostileText(t *testing.T) {
	long := strings.Repeat("é", 2000)
	e := one(t, edit(t, `"awsRegion"`, `"userAgent":"`+long+`","errorMessage":"`+"\xff\xfe"+`bad","awsRegion"`))
	if n := len(e.Actor.UserAgent); n > maxText || n < maxText-4 || strings.ContainsRune(e.Actor.UserAgent, '\uFFFD') {
		t.Errorf("user agent has %d bytes", n)
	}
	if e.ErrorMessage != "\uFFFDbad" || strings.Contains(string(e.Raw), "\xff") {
		t.Errorf("invalid UTF-8 was kept: %q", e.ErrorMessage)
	}
}

func TestDetails(t *testing.T) {
	for _, c := range []struct{ name, parameters, response, user, newUser, detail string }{
		{UpdateUser, `{"userName":"bob","newUserName":"robert"}`, `null`, "bob", "robert", ""},
		{AttachUserPolicy, `{"userName":"bob","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`, `null`, "bob", "", "arn:aws:iam::aws:policy/AdministratorAccess"},
		{PutUserPolicy, `{"userName":"bob","policyName":"p","policyDocument":"{\"Version\":1}"}`, `null`, "bob", "", "p"},
		{AddUserToGroup, `{"userName":"bob","groupName":"admins"}`, `null`, "bob", "", "admins"},
		{CreateAccessKey, `null`, `{"accessKey":{"userName":"carol","accessKeyId":"AKIAX"}}`, "carol", "", "AKIAX"},
		{UpdateAccessKey, `{"userName":"bob","accessKeyId":"AKIAX","status":"Inactive"}`, `null`, "bob", "", "AKIAX Inactive"},
		{DeleteVirtualMFADevice, `{"serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`, `null`, "", "", ""},
		{CreateVirtualMFADevice, `{"virtualMFADeviceName":"x"}`, `{"virtualMFADevice":{"serialNumber":"arn:aws:iam::111122223333:mfa/x"}}`, "", "", ""},
	} {
		e := one(t, edit(t, `:"DeactivateMFADevice"`, `:"`+c.name+`"`, `{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`, c.parameters,
			`"responseElements":null`, `"responseElements":`+c.response))
		if e == nil || e.User != c.user || e.NewUser != c.newUser || e.Detail != c.detail || (c.name == CreateVirtualMFADevice) != (e.Serial == "arn:aws:iam::111122223333:mfa/x") {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestJ10_WhoStandsBehindASession(t *testing.T) {
	const caller = `{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"}`
	for _, c := range []struct{ identity, onBehalfOf, source string }{
		{caller, "", ""},
		{`{"type":"AssumedRole","onBehalfOf":{"userId":"94482488-3041-7026","identityStoreArn":"arn:aws:identitystore::1:identitystore/d-1"}}`, "94482488-3041-7026", ""},
		{`{"type":"AssumedRole","sessionContext":{"sourceIdentity":"jane"}}`, "", "jane"},
		{`{"type":"AssumedRole","onBehalfOf":"text","sessionContext":{"sourceIdentity":7}}`, "", ""},
	} {
		e := one(t, edit(t, caller, c.identity))
		if e == nil || e.Actor.OnBehalfOf != c.onBehalfOf || e.Actor.SourceIdentity != c.source {
			t.Errorf("%s: %+v", c.identity, e)
		}
	}
}
