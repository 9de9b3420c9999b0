package trail

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// edit is minimal with parts replaced: old, new, old, new, and so on.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	doc := minimal
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(doc, pairs[i]) {
			t.Fatalf("%q is not in the record", pairs[i])
		}
		doc = strings.Replace(doc, pairs[i], pairs[i+1], 1)
	}
	return doc
}

// one scans a single record and returns its Event, nil if it gives none.
func one(t *testing.T, doc string) *Event {
	t.Helper()
	v, _ := scanBytes(t, doc)
	if len(v.unreadable) > 0 {
		t.Fatalf("unreadable: %s: %v", v.unreadable[0].Reason, v.unreadable[0].Err)
	}
	switch len(v.events) {
	case 0:
		return nil
	case 1:
		return v.events[0]
	}
	t.Fatalf("%d events of one record", len(v.events))
	return nil
}

func TestR1_SourceAndNameTogether(t *testing.T) {
	for _, c := range []struct {
		source, name string
		found        bool
	}{
		{"iam.amazonaws.com", "DeactivateMFADevice", true},
		{"iam.amazonaws.com", "deactivatemfadevice", false},
		{"iam.amazonaws.com", "DeactivateMFADeviceX", false},
		{"sso-directory.amazonaws.com", "DeactivateMFADevice", false},
		{"identitystore.amazonaws.com", "DeleteUser", false}, // the directory's own users
		{"sso-directory.amazonaws.com", "CreateUser", false},
		{"signin.amazonaws.com", "DeactivateMFADevice", false},
		{"iam.amazonaws.com", "ConsoleLogin", false},
		{"iam.amazonaws.com", "ListMFADevices", false},
		{"iam.amazonaws.com", "EnableMFADevice", true},
		{"iam.amazonaws.com", "ResyncMFADevice", true},
		{"iam.amazonaws.com", "CreateVirtualMFADevice", true},
		{"iam.amazonaws.com", "DeleteVirtualMFADevice", true},
		{"iam.amazonaws.com", "CreateUser", true},
		{"iam.amazonaws.com", "UpdateUser", true},
		{"iam.amazonaws.com", "DeleteUser", true},
		{"iam.amazonaws.com", "CreateLoginProfile", true},
		{"iam.amazonaws.com", "UpdateLoginProfile", true},
		{"iam.amazonaws.com", "DeleteLoginProfile", true},
		{"iam.amazonaws.com", "CreateAccessKey", true},
		{"iam.amazonaws.com", "UpdateAccessKey", true},
		{"iam.amazonaws.com", "DeleteAccessKey", true},
		{"iam.amazonaws.com", "AttachUserPolicy", true},
		{"iam.amazonaws.com", "PutUserPolicy", true},
		{"iam.amazonaws.com", "AddUserToGroup", true},
	} {
		e := one(t, edit(t, "iam.amazonaws.com", c.source, `:"DeactivateMFADevice"`, `:"`+c.name+`"`))
		if (e != nil) != c.found {
			t.Errorf("%s of %s: found %t, want %t", c.name, c.source, e != nil, c.found)
		}
	}
}

func TestR2_ErrorCodeOrMessageMeansFailed(t *testing.T) {
	for _, c := range []struct {
		name, failure string
		found, failed bool
	}{
		{"DeactivateMFADevice", ``, true, false},
		{"DeactivateMFADevice", `"errorCode":"","errorMessage":"",`, true, false},
		{"DeactivateMFADevice", `"errorCode":null,`, true, false},
		{"DeactivateMFADevice", `"errorCode":"AccessDenied",`, true, true},
		{"DeactivateMFADevice", `"errorMessage":"denied",`, true, true},
		{"EnableMFADevice", `"errorCode":"InvalidAuthenticationCodeException",`, true, true},
		{"DeleteVirtualMFADevice", `"errorCode":"DeleteConflictException",`, true, true},
		{"DeleteUser", `"errorCode":"DeleteConflictException",`, false, true},
		{"CreateAccessKey", `"errorMessage":"LimitExceeded",`, false, true},
	} {
		e := one(t, edit(t, `"awsRegion"`, c.failure+`"awsRegion"`, `:"DeactivateMFADevice"`, `:"`+c.name+`"`))
		switch {
		case (e != nil) != c.found:
			t.Errorf("%s with %s: found %t, want %t", c.name, c.failure, e != nil, c.found)
		case e != nil && e.Failed() != c.failed:
			t.Errorf("%s with %s: failed %t, want %t", c.name, c.failure, e.Failed(), c.failed)
		}
	}
}

func TestR3_NullResponseIsSuccess(t *testing.T) {
	for _, response := range []string{`"responseElements":null`, `"responseElements":{}`, `"x":1`} {
		if e := one(t, edit(t, `"responseElements":null`, response)); e == nil || e.Failed() {
			t.Errorf("%s: %+v, want a success", response, e)
		}
	}
}

func TestR4_ErrorCodesWithAndWithoutSuffix(t *testing.T) {
	for _, code := range []string{"NoSuchEntity", "NoSuchEntityException", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"} {
		e := one(t, edit(t, `"awsRegion"`, `"errorCode":"`+code+`","awsRegion"`))
		if e == nil || !e.Failed() || e.ErrorCode != code || e.User != "bob" {
			t.Errorf("%s: %+v, want a failure on bob", code, e)
		}
	}
}

func TestR5_RequestParametersOfAnyKind(t *testing.T) {
	const parameters = `{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}`
	for _, p := range []string{`null`, `""`, `"text"`, `[]`, `[{"userName":"bob"}]`, `7`, `true`, `{}`, `{"userName":null,"serialNumber":5}`, `{"userName":{"a":1}}`} {
		e := one(t, edit(t, parameters, p))
		if e == nil || e.Serial != "" || e.User != "alice" { // the caller itself (R10)
			t.Errorf("requestParameters %s: %+v, want a deactivation with an unknown serial", p, e)
		}
	}
	if e := one(t, edit(t, `"requestParameters":`+parameters+`,`, ``)); e == nil || DeviceKind(e.Serial) != "unknown" {
		t.Errorf("without requestParameters: %+v", e)
	}
}

func TestR6_MFAAuthenticatedOfAnyKind(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		context string
		want    *bool
	}{
		{`"sessionContext":{"attributes":{"mfaAuthenticated":"true"}}`, &yes},
		{`"sessionContext":{"attributes":{"mfaAuthenticated":"false"}}`, &no},
		{`"sessionContext":{"attributes":{"mfaAuthenticated":true}}`, &yes},
		{`"sessionContext":{"attributes":{"mfaAuthenticated":false}}`, &no},
		{`"sessionContext":{"attributes":{}}`, nil},
		{`"sessionContext":{}`, nil},
		{`"sessionContext":null`, nil},
		{`"sessionContext":{"attributes":{"mfaAuthenticated":""}}`, nil},
		{`"x":1`, nil},
	} {
		e := one(t, edit(t, `"accountId"`, c.context+`,"accountId"`))
		if e == nil || (e.Actor.MFA == nil) != (c.want == nil) || e.Actor.MFA != nil && *e.Actor.MFA != *c.want {
			t.Errorf("%s: %+v", c.context, e)
		}
	}
}

func TestR7_BooleansOfAnyKind(t *testing.T) {
	for _, b := range []string{`"readOnly":false,"managementEvent":true`, `"readOnly":"false","managementEvent":"true"`, `"readOnly":null`, `"x":0`} {
		if e := one(t, edit(t, `"responseElements"`, b+`,"responseElements"`)); e == nil {
			t.Errorf("%s: not found", b)
		}
	}
}

func TestR8_UnknownMembersTypesAndVersions(t *testing.T) {
	for _, version := range []string{"1.0", "1.00", "1.08", "1.9", "1.10", "1.11", "1.99", "2.0", "", "x"} {
		if e := one(t, edit(t, `"1.11"`, `"`+version+`"`)); e == nil {
			t.Errorf("eventVersion %q: not found", version)
		}
	}
	for _, kind := range []string{"IdentityCenterUser", "SAMLUser", "Unknown", "Role", "SomethingNew", ""} {
		if e := one(t, edit(t, `"IAMUser"`, `"`+kind+`"`)); e == nil || e.Actor.Type != kind || e.Actor.Self {
			t.Errorf("userIdentity.type %q: %+v", kind, e)
		}
	}
	e := one(t, edit(t, `"type"`, `"invokedByDelegate":{"accountId":"1"},"onBehalfOf":{"userId":"u"},"inScopeOf":[1,{"a":null}],"type"`,
		`"awsRegion"`, `"eventContext":{"x":[[]]},"awsRegion"`))
	if e == nil {
		t.Error("unknown members: not found")
	}
}

func TestR9_SourceIPAddressIsText(t *testing.T) {
	for _, ip := range []string{"198.51.100.7", "2001:db8::1", "AWS Internal", "AWS Internal/3", "cloudformation.amazonaws.com", ""} {
		if e := one(t, edit(t, `"awsRegion"`, `"sourceIPAddress":"`+ip+`","awsRegion"`)); e == nil || e.Actor.SourceIP != ip {
			t.Errorf("sourceIPAddress %q: %+v", ip, e)
		}
	}
}

func TestR26_OnlySignInsOfUsersAndRoot(t *testing.T) {
	signin := func(kind, event, result, mfa, failure string) string {
		return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":%q,"accountId":"111122223333","userName":"bob","arn":"arn:aws:iam::111122223333:user/bob"},`+
			`"eventTime":"2026-05-01T08:03:11Z","eventSource":"signin.amazonaws.com","eventName":%q,"awsRegion":"eu-north-1","sourceIPAddress":"198.51.100.7",`+
			`"requestParameters":null,"responseElements":{%q:%q},"additionalEventData":{%s"LoginTo":"https://console.aws.amazon.com"},%s"eventID":"e-2","eventType":"AwsConsoleSignIn"}`,
			kind, event, event, result, mfa, failure)
	}
	yes, no := true, false
	for _, c := range []struct {
		doc   string
		found bool
		mfa   *bool
	}{
		{signin("IAMUser", "ConsoleLogin", "Success", `"MFAUsed":"No",`, ""), true, &no},
		{signin("IAMUser", "ConsoleLogin", "Success", `"MFAUsed":"NO",`, ""), true, &no},
		{signin("Root", "ConsoleLogin", "Success", `"MFAUsed":"YES",`, ""), true, &yes},
		{signin("Root", "ConsoleLogin", "success", `"MFAUsed":"Yes",`, ""), true, &yes},
		{signin("IAMUser", "ConsoleLogin", "Success", ``, ""), true, nil},
		{signin("IAMUser", "ConsoleLogin", "Failure", `"MFAUsed":"Yes",`, `"errorMessage":"Failed authentication",`), true, nil}, // a guess (J8)
		{signin("IAMUser", "ConsoleLogin", "Failure", `"MFAUsed":"Yes",`, ""), true, nil},
		{signin("IAMUser", "CheckMfa", "Success", ``, ""), true, &yes},
		{signin("IAMUser", "CheckMfa", "Failure", ``, ""), false, nil},
		{signin("AssumedRole", "ConsoleLogin", "Success", `"MFAUsed":"No",`, ""), false, nil},
		{signin("SAMLUser", "ConsoleLogin", "Success", `"MFAUsed":"No",`, ""), false, nil},
		{signin("IdentityCenterUser", "ConsoleLogin", "Success", `"MFAUsed":"No",`, ""), false, nil},
	} {
		e := one(t, c.doc)
		switch {
		case (e != nil) != c.found:
			t.Errorf("found %t, want %t: %s", e != nil, c.found, c.doc)
		case e == nil:
		case (e.MFAUsed == nil) != (c.mfa == nil) || e.MFAUsed != nil && *e.MFAUsed != *c.mfa:
			t.Errorf("MFAUsed is wrong: %s", c.doc)
		case e.User != "bob" && !e.Root():
			t.Errorf("the user is %q: %s", e.User, c.doc)
		case e.Failed() != strings.Contains(c.doc, "Failure"):
			t.Errorf("failed is %t: %s", e.Failed(), c.doc)
		case (e.Raw == nil) != (c.mfa != nil && *c.mfa):
			t.Errorf("the record of a sign-in is kept only where it may prove an exploit: %s", c.doc)
		case e.Root() != strings.Contains(c.doc, `"type":"Root"`):
			t.Errorf("root is wrong: %s", c.doc)
		}
	}
}

func TestEventIsWholeAndItsOwn(t *testing.T) {
	doc := []byte(edit(t, `"awsRegion"`, `"userAgent":"aws-cli/2.15","sourceIPAddress":"198.51.100.7","awsRegion"`))
	var v found
	NewScanner().ScanBytes(At("kafka://trail/3", 1042), doc, &v)
	clear(doc) // the bytes are the caller's again
	e := v.events[0]
	if want := time.Date(2026, 5, 1, 8, 3, 11, 0, time.UTC); !e.Time.Equal(want) || e.ID != "e-1" || e.Region != "us-east-1" ||
		e.Account != "111122223333" || e.Partition != "aws" || e.User != "bob" || e.Serial != "arn:aws:iam::111122223333:mfa/bob-phone" ||
		e.Actor.Name != "alice" || e.Actor.UserAgent != "aws-cli/2.15" || e.Origin != "kafka://trail/3@1042" {
		t.Errorf("%+v", e)
	}
	if want := edit(t, `"awsRegion"`, `"userAgent":"aws-cli/2.15","sourceIPAddress":"198.51.100.7","awsRegion"`); string(e.Raw) != want {
		t.Errorf("raw is %s", e.Raw)
	}
}
