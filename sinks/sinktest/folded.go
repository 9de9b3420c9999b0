package sinktest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// deed is one call, as the stories below write it.
type deed struct {
	at     time.Duration // after the start
	name   string
	actor  string // the name of an IAM user; "" for root, "sso:NAME" for a person of Identity Center
	user   string // whose MFA or credentials; "" for root
	device string
	mfa    string // of the session, or MFAUsed of a sign-in: true, false or ""
	failed string // the error code
}

// foldedStories are records by account. Together, the alerts that exposure makes of
// them have every step and every way to end.
var foldedStories = map[string][]deed{
	"111122223333": {
		{0, trail.DeactivateMFADevice, "alice", "bob", "bob", "true", ""},
		{20 * time.Minute, trail.ConsoleLogin, "bob", "bob", "", "false", ""},
		{21 * time.Minute, trail.CreateAccessKey, "bob", "bob", "", "false", ""},
		{30 * time.Minute, trail.EnableMFADevice, "bob", "bob", "bob2", "false", ""},
		{50 * time.Minute, trail.Closed, "ann", "bob", "", "", ""},
	},
	"222233334444": {
		{0, trail.ConsoleLogin, "carol", "carol", "", "true", ""},
		{2 * time.Hour, trail.DeactivateMFADevice, "carol", "carol", "carol", "true", ""},
		{2*time.Hour + time.Minute, trail.EnableMFADevice, "carol", "carol", "carol2", "true", ""},
		{4 * time.Hour, trail.DeactivateMFADevice, "alice", "dave", "dave", "true", ""},
		{4*time.Hour + 3*time.Minute, trail.DeleteUser, "alice", "dave", "", "true", ""},
		{6 * time.Hour, trail.DeactivateMFADevice, "alice", "erin", "erin", "false", ""},
		{6*time.Hour + 3*time.Minute, trail.ConsoleLogin, "erin", "erin", "", "true", ""},
		{8 * time.Hour, trail.EnableMFADevice, "frank", "frank", "frank", "true", ""},
		{8*time.Hour + time.Minute, trail.EnableMFADevice, "frank", "frank", "frank2", "true", ""},
		{10 * time.Hour, trail.DeactivateMFADevice, "alice", "frank", "frank2", "true", ""},
		{12 * time.Hour, trail.DeactivateMFADevice, "sso:alice", "alice", "alice", "", ""},
	},
	"333344445555": {
		{0, trail.DeactivateMFADevice, "", "", "root", "true", ""},
		{time.Hour, trail.DeactivateMFADevice, "mallory", "grace", "grace", "false", "AccessDenied"},
		{2 * time.Hour, trail.EnableMFADevice, "henry", "henry", "henry", "true", "InvalidAuthenticationCode"},
		{3 * time.Hour, trail.EnableMFADevice, "mallory", "ivan", "ivan", "true", ""},
	},
	"444455556666": {
		{0, trail.DeactivateMFADevice, "mallory", "judy", "judy", "true", ""},
		{time.Minute, trail.DeactivateMFADevice, "mallory", "karl", "karl", "true", ""},
		{2 * time.Minute, trail.DeactivateMFADevice, "mallory", "lena", "lena", "true", ""},
		{30 * time.Minute, trail.EnableMFADevice, "judy", "judy", "judy2", "true", ""},
		{31 * time.Minute, trail.EnableMFADevice, "karl", "karl", "karl2", "true", ""},
		{32 * time.Minute, trail.EnableMFADevice, "lena", "lena", "lena2", "true", ""},
	},
}

// record is the record of CloudTrail of the deed.
func (d deed) record(account, id string) map[string]any {
	arn := "arn:aws:iam::" + account
	who := map[string]any{"type": "IAMUser", "accountId": account, "arn": arn + ":user/" + d.actor, "userName": d.actor, "accessKeyId": "ASIAEXAMPLE"}
	context := map[string]any{}
	switch {
	case d.actor == "":
		who = map[string]any{"type": "Root", "accountId": account, "arn": arn + ":root", "accessKeyId": "ASIAEXAMPLE"}
	case d.actor[:min(4, len(d.actor))] == "sso:":
		session := "AWSReservedSSO_Admin_0123456789abcdef/" + d.actor[4:]
		who = map[string]any{"type": "AssumedRole", "accountId": account, "arn": "arn:aws:sts::" + account + ":assumed-role/" + session, "principalId": "AROAEXAMPLE:" + d.actor[4:], "accessKeyId": "ASIAEXAMPLE"}
		context["sessionIssuer"] = map[string]any{"type": "Role", "arn": arn + ":role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef", "userName": "AWSReservedSSO_Admin_0123456789abcdef"}
	}
	r := map[string]any{
		"eventVersion": "1.08", "eventTime": FoldedStart.Add(d.at).Format(time.RFC3339), "eventID": id, "eventName": d.name, "awsRegion": "us-east-1",
		"eventSource": "iam.amazonaws.com", "eventType": "AwsApiCall", "recipientAccountId": account, "sourceIPAddress": "198.51.100.7", "userAgent": "console.amazonaws.com", "userIdentity": who,
	}
	parameters := map[string]any{}
	if d.user != "" {
		parameters["userName"] = d.user
	}
	if d.device != "" {
		parameters["serialNumber"] = arn + ":mfa/" + d.device
		if d.user == "" {
			parameters["serialNumber"] = arn + ":mfa/root-account-mfa-device"
		}
	}
	r["requestParameters"] = parameters
	switch d.name {
	case trail.ConsoleLogin:
		r["eventSource"], r["eventType"], r["requestParameters"] = "signin.amazonaws.com", "AwsConsoleSignIn", nil
		r["responseElements"] = map[string]any{"ConsoleLogin": "Success"}
		r["additionalEventData"] = map[string]any{"MFAUsed": map[string]string{"true": "Yes", "false": "No"}[d.mfa], "LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No"}
		delete(who, "accessKeyId")
		return r
	case trail.CreateAccessKey:
		r["responseElements"] = map[string]any{"accessKey": map[string]any{"accessKeyId": "AKIAEXAMPLE", "status": "Active", "userName": d.user}}
	}
	if d.mfa != "" {
		context["attributes"] = map[string]any{"mfaAuthenticated": d.mfa, "creationDate": FoldedStart.Format(time.RFC3339)}
	}
	if len(context) > 0 {
		who["sessionContext"] = context
	}
	if d.failed != "" {
		r["errorCode"], r["errorMessage"] = d.failed, d.failed
	}
	return r
}

// FoldedStart is the time of the first records of Folded.
var FoldedStart = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

// Folded returns alerts that exposure made of records under the default policy, in
// the order in which they are journalled.
func Folded(t testing.TB) []*processor.Alert {
	t.Helper()
	policy := exposure.DefaultPolicy()
	policy.Accounts = map[string]exposure.Account{"111122223333": {Name: "payments"}}
	var all []*processor.Alert
	for account, deeds := range foldedStories {
		all = append(all, fold(t, policy, account, deeds)...)
	}
	slices.SortStableFunc(all, func(a, b *processor.Alert) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Account, b.Account))
	})
	return all
}

// fold returns the alerts of one account, each record seen when it happened.
func fold(t testing.TB, policy exposure.Policy, account string, deeds []deed) (all []*processor.Alert) {
	t.Helper()
	var ledger alerting.Ledger
	var next time.Time
	notify := func(now time.Time) {
		var alerts []*processor.Alert
		alerts, next = ledger.Fold(now, policy)
		all = append(all, alerts...)
	}
	waits := func(until time.Time) {
		for range 100 {
			if next.IsZero() || next.After(until) {
				return
			}
			notify(next)
		}
	}
	for i, d := range deeds {
		now := FoldedStart.Add(d.at)
		waits(now)
		if d.name == trail.Closed {
			begun := all[0]
			open := exposure.Open{ID: *begun.Exposure, Partition: begun.Partition, Account: account, User: *begun.User, Evidence: i}
			ledger.Append(exposure.Close(open, d.actor, "seen with the user", now))
			notify(now)
			continue
		}
		text, err := json.Marshal(map[string]any{"Records": []any{d.record(account, fmt.Sprintf("00000000-0000-4000-8000-%s%02d", account[:10], i))}})
		if err != nil {
			t.Fatal(err)
		}
		var found eventVisitor
		if _, err := trail.NewScanner().Scan(trail.Place("story"), bytes.NewReader(text), &found); err != nil || found.problem != nil {
			t.Fatalf("%s: %v, %v", text, err, found.problem)
		}
		ledger.Append(found.events...)
		notify(now)
	}
	waits(FoldedStart.Add(25 * time.Hour))
	return all
}

type eventVisitor struct {
	events  []*trail.Event
	problem error
}

func (v *eventVisitor) Event(e *trail.Event)          { v.events = append(v.events, e) }
func (v *eventVisitor) Unreadable(u trail.Unreadable) { v.problem = u.Err }
