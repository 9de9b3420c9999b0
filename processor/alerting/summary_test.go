package alerting

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// alertsOf returns the alerts of a script whose calls all have an address and
// an agent.
func alertsOf(t *testing.T, text string) []*exposure.Alert {
	t.Helper()
	events := script(t, text)
	for _, e := range events {
		e.Actor.SourceIP, e.Actor.UserAgent = "198.51.100.7", "aws-cli/2.31.4 md/awscrt#0.27 ua/2.1 os/linux"
		e.Detail = map[string]string{
			trail.CreateAccessKey: "AKIAIOSFODNN7EXAMPLE", trail.AddUserToGroup: "admins",
			trail.AttachUserPolicy: "arn:aws:iam::aws:policy/AdministratorAccess",
		}[e.Name]
	}
	return Fold(events).Alerts()
}

const (
	phone = "arn:aws:iam::111122223333:mfa/bob-phone"
	spare = "arn:aws:iam::111122223333:u2f/user/bob/spare-KEY"
)

// The summary of the last alert has every fact that the person on call needs, in
// the order of a decision: change, actor and session, address, present state and
// its severity, advice.
func TestSummaryFacts(t *testing.T) {
	for _, c := range []struct {
		name, events, title string
		facts               []string // in this order
		not                 string
	}{
		{"by another", "0 deactivate bob serial=" + phone, "MFA removed from bob in 111122223333 by alice",
			[]string{"Virtual device bob-phone", "IAM user alice", "session with MFA", "198.51.100.7", "aws-cli/2.31.4", "High because no other device is known",
				"password", "Ask bob or alice", "disable the password and access keys of bob"}, "arn:"},
		{"by the user", "0 deactivate bob by=bob self mfa=no serial=" + spare, "bob removed their own MFA in 111122223333",
			[]string{"Security key spare-KEY", "the user", "session without MFA", "High because", "Ask bob if"}, "alice"},
		{"R6 not said", "0 deactivate bob mfa=unknown", "MFA removed from bob in 111122223333 by alice", []string{"An MFA device", "MFA not known"}, ""},
		{"long-term key", "0 deactivate bob mfa=unknown key=AKIAEXAMPLE", "MFA removed from bob in 111122223333 by alice", []string{"long-term key", "198.51.100.7"}, "not known,"},
		{"R8 by a role", "0 deactivate bob by=helpdesk/ticket-1 type=AssumedRole serial=GAHT1", "MFA removed from bob in 111122223333 by helpdesk/ticket-1",
			[]string{"Hardware device GAHT1", "role helpdesk/ticket-1", "Ask bob if"}, "IAM user"},
		{"R28 root", "0 deactivate root by=root type=Root self", "The root user removed their own MFA in 111122223333",
			[]string{"the user, session with MFA", "Critical because this is the root user and no other device is known", "recover the account"}, ""},
		{"AssumeRoot", "0 deactivate root by=alice type=AssumedRoot assumedroot mfa=no", "MFA removed from the root user in 111122223333 by alice",
			[]string{"AssumeRoot session alice, session without MFA", "Critical because this is the root user"}, ""},
		{"R10 unknown", "0 deactivate - serial=Z", "MFA removed from an unknown user in 111122223333 by alice",
			[]string{"Hardware device Z", "Find out whose device it was"}, "Ask"},
		{"R15 another partition", "0 deactivate bob partition=aws-cn", "MFA removed from bob in 111122223333 (aws-cn) by alice", []string{"High"}, ""},
		{"R17 reduced", "0 enable bob serial=" + spare + "; 5 deactivate bob serial=" + phone, "One of several MFA devices removed from bob in 111122223333 by alice",
			[]string{"Virtual device bob-phone", "Low because another device still protects bob", "Ask bob or alice"}, "disable"},
		{"reduced by the user", "0 enable bob serial=S; 5 deactivate bob by=bob self serial=" + phone, "bob removed one of their MFA devices in 111122223333",
			[]string{"Low because another device still protects bob."}, "Ask"},
		{"one more", "0 deactivate bob serial=A; 9 deactivate bob serial=B by=eve", "Another MFA device removed from bob in 111122223333 by eve",
			[]string{"Hardware device B", "IAM user eve", "MFA removed at 08:00:00 UTC by IAM user alice", "High because no other device is known.", "Ask bob or eve"}, ""},
		{"a key", "0 deactivate bob serial=A; 9 createkey bob by=bob self mfa=no", "Access key created for bob in 111122223333 after MFA was removed",
			[]string{"Key AKIAIOSFODNN7EXAMPLE created by the user, session without MFA, from 198.51.100.7", "at 08:00:00 UTC by IAM user alice",
				"Critical because access was changed and no other device is known", "Assume an intrusion"}, ""},
		{"a policy", "0 deactivate bob; 9 attach bob", "Policy AdministratorAccess given to bob in 111122223333 after MFA was removed", []string{"by IAM user alice", "Critical"}, ""},
		{"a group", "0 deactivate bob; 9 group bob", "bob added to group admins in 111122223333 after MFA was removed", []string{"by IAM user alice", "Critical"}, ""},
		{"R23 the password deleted", "0 deactivate bob; 9 deletelogin bob", "Password of bob deleted in 111122223333 after MFA was removed",
			[]string{"IAM user alice", "Low because the password is deleted", "access keys may still work", "disable the access keys of bob"}, "no other device"},
		{"and one given again", "0 deactivate bob; 9 deletelogin bob; 20 createlogin bob", "Password created for bob in 111122223333 after MFA was removed",
			[]string{"Critical because access was changed and no other device is known"}, "is deleted"},
		{"R26 signed in", "0 deactivate bob serial=" + phone + "; 86400 login- bob by=bob self", "bob signed in without MFA in 111122223333",
			[]string{"Signed in from 198.51.100.7 with aws-cli/2.31.4", "Virtual device bob-phone was removed at 2026-05-01 08:00:00 UTC by IAM user alice from the same address",
				"Critical because the password was enough", "Assume an intrusion", "sessions"}, "device is known"},
		{"root signed in", "0 deactivate root; 9 login- root by=root type=Root self", "The root user signed in without MFA in 111122223333",
			[]string{"Critical because this is the root user and", "recover root"}, "keys"},
		{"R20 enabled", "0 deactivate bob serial=" + phone + "; 90 enable bob by=bob self serial=" + spare, "bob has MFA again in 111122223333",
			[]string{"Security key spare-KEY was enabled by the user from 198.51.100.7", "lasted 1 minute 30 seconds", "virtual device bob-phone", "IAM user alice"}, "Check"},
		{"by another, after use", "0 deactivate bob; 5 login- bob; 6 createkey bob; 90 enable bob by=alice", "bob has MFA again in 111122223333, but an intruder may hold the device",
			[]string{"enabled by IAM user alice", "MFA removed at 08:00:00 UTC by IAM user alice", "Still there: access key AKIAIOSFODNN7EXAMPLE.", "Critical because somebody else enabled the device", "somebody signed in without MFA and access was changed"}, ""},
		{"deleted, after use", "0 deactivate bob; 5 login- bob; 6 createkey bob; 90 deleteuser bob by=ann", "bob was deleted in 111122223333, MFA never came back",
			[]string{"by IAM user ann", "lasted", "Meanwhile somebody signed in without MFA and access was changed"}, ""},
		{"R20 resync", "0 deactivate bob serial=A; 5 resync bob serial=B by=bob self", "bob has MFA again in 111122223333", []string{"Hardware device B was shown to work by the user"}, ""},
		{"R27 seen", "0 deactivate bob; 60 login+ bob by=bob self", "bob signed in with MFA in 111122223333: a device remains", []string{"198.51.100.7", "lasted 1 minute"}, ""},
		{"R23 deleted", "0 deactivate bob; 60 deleteuser bob", "bob was deleted in 111122223333, MFA never came back", []string{"by IAM user alice", "lasted 1 minute"}, "Ask"},
		{"R25 the name given away", "0 deactivate bob; 60 createuser bob", "bob was deleted in 111122223333, MFA never came back", []string{"name went to another user by IAM user alice"}, ""},
		{"R3 attempts", "0 deactivate bob by=mallory fail=AccessDenied serial=" + phone + "; 60 deactivate bob by=mallory fail=UnauthorizedOperation", "mallory failed to remove MFA from bob in 111122223333",
			[]string{"2 tries in 1 minute on virtual device bob-phone", "IAM user mallory", "198.51.100.7", "AccessDenied, UnauthorizedOperation", "Medium because nothing was changed", "Ask mallory"}, ""},
		{"on oneself", "0 enable bob by=bob self fail=AccessDenied", "bob failed to enable an MFA device for themselves in 111122223333", []string{"1 try by the user", "Ask bob"}, "review"},
		{"on root", "0 deactivate root fail=AccessDenied", "alice failed to remove MFA from the root user in 111122223333", []string{"High because this is the root user and nothing was changed"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			alerts := alertsOf(t, c.events)
			a := alerts[len(alerts)-1]
			if a.Title != c.title {
				t.Errorf("title %q, want %q", a.Title, c.title)
			}
			rest := a.Summary
			for _, f := range c.facts {
				_, after, ok := strings.Cut(rest, f)
				if !ok {
					t.Fatalf("%q is not in %q after what comes before it", f, a.Summary)
				}
				rest = after
			}
			if c.not != "" && strings.Contains(a.Summary, c.not) {
				t.Errorf("%q has %q", a.Summary, c.not)
			}
			checkReadable(t, a)
		})
	}
}

// checkReadable checks what holds for every alert about ordinary names.
func checkReadable(t *testing.T, a *exposure.Alert) {
	t.Helper()
	limit := map[exposure.Step]int{exposure.Resolved: 200}[a.Step]
	if limit == 0 {
		limit = 300
	}
	if strings.Contains(a.Summary, "Meanwhile ") || strings.Contains(a.Summary, "Still there: ") {
		limit += 100 // what has to be looked at although it is over
	}
	if n := utf8.RuneCountInString(a.Summary); n > limit {
		t.Errorf("%s: the summary has %d characters: %s", a.Step, n, a.Summary)
	}
	if n := utf8.RuneCountInString(a.Title); n > 80 || strings.HasSuffix(a.Title, ".") {
		t.Errorf("the title has %d characters: %s", n, a.Title)
	}
	if strings.Contains(a.Summary, a.Account) || strings.Contains(a.Summary, a.Title) {
		t.Errorf("the summary says what the title says: %s", a.Summary)
	}
	if got := strings.Count(a.Summary, " because "); got != map[bool]int{true: 0, false: 1}[a.Step == exposure.Resolved] {
		t.Errorf("the summary gives its reasons %d times: %s", got, a.Summary)
	}
	if n := len(regexp.MustCompile(`\d\d:\d\d:\d\d`).FindAllString(a.Title+a.Summary, -1)); n > 1 {
		t.Errorf("%d times of day: %s %s", n, a.Title, a.Summary)
	}
	if strings.Contains(a.Summary, "  ") || strings.Contains(a.Summary, "..") || strings.Contains(a.Summary, ",.") || !strings.HasSuffix(a.Summary, ".") {
		t.Errorf("not sentences: %q", a.Summary)
	}
}

// A summary explains the severity by the factors that set it, not by every fact.
func TestBecauseAgreesWithSeverity(t *testing.T) {
	for _, who := range []string{"bob", "root"} {
		for _, steps := range []string{"", "5 login- WHO", "5 createkey WHO", "5 deletelogin WHO", "4 deletelogin WHO; 5 createkey WHO", "5 deactivate WHO serial=B", "-5 enable WHO serial=B"} {
			if who == "root" && strings.Contains(steps, "deletelogin") {
				continue // root's password cannot be deleted
			}
			for _, a := range alertsOf(t, strings.ReplaceAll("0 deactivate WHO serial=A;"+steps, "WHO", who)) {
				s := a.Summary
				if a.Root != strings.Contains(s, "because this is the root user") {
					t.Errorf("root is %v: %s", a.Root, s)
				}
				used := slices.Contains(a.Reasons, exposure.ReasonExploited) || slices.Contains(a.Reasons, exposure.ReasonChanged)
				if used != (strings.Contains(s, "password was enough") || strings.Contains(s, "access was changed") || strings.Contains(s, "somebody signed in")) {
					t.Errorf("reasons %v: %s", a.Reasons, s)
				}
				quiet := a.Severity == exposure.Low || a.Root && a.Severity == exposure.Medium // one level up
				if quiet != (strings.Contains(s, "another device still") || strings.Contains(s, "password is deleted")) {
					t.Errorf("%s: %s", a.Severity, s)
				}
				want := strings.ToUpper(string(a.Severity[:1])) + string(a.Severity[1:]) + " because "
				if !strings.Contains(s, want) {
					t.Errorf("no %q in %s", want, s)
				}
				checkReadable(t, a)
			}
		}
	}
}

// A late alert says that it is late, and a step shows nothing of later ones.
func TestSummaryOverTime(t *testing.T) {
	d := newTestAccount(t)
	d.arrive(at(10), script(t, "0 deactivate bob serial="+phone)...)
	alerts := d.arrive(at(10 * 3600))
	if len(alerts) != 1 || alerts[0].Title != "Still no MFA device enabled for bob in 111122223333 after 4 hours" ||
		!strings.HasPrefix(alerts[0].Summary, "Virtual device bob-phone was removed at 08:00:00 UTC by IAM user alice, session with MFA. High because") ||
		!strings.HasSuffix(alerts[0].Summary, " Reported more than 6 hours after it happened.") {
		t.Errorf("%+v", alerts)
	}
	for i, a := range alertsOf(t, "0 deactivate bob; 9 deletelogin bob; 20 login- bob") {
		if closed := strings.Contains(a.Summary, "password is deleted"); closed != (i == 1) {
			t.Errorf("step %d: %s", i, a.Summary)
		}
	}
}

// R8, R9: texts show callers in short; the alert has the rest.
func TestAgent(t *testing.T) {
	for ua, want := range map[string]string{
		"aws-cli/2.31.4":                                                         "aws-cli/2.31.4",
		"[aws-cli/1.11.27 Python/2.7.10]":                                        "aws-cli/1.11.27",
		"Boto3/1.40.44 md/Botocore#1.40.44 ua/2.1 os/linux":                      "Boto3/1.40.44",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "a browser",
		"APN/1.0 HashiCorp/1.0 Terraform/1.13.3 (+https://www.terraform.io) terraform-provider-aws/6.0.0": "Terraform/1.13.3",
		"APN/1.0":                                "APN/1.0",
		"Coral/Netty4":                           "the AWS console",
		"signin.amazonaws.com":                   "the AWS console",
		"console.amazonaws.com":                  "the AWS console",
		"AWS Internal":                           "AWS Internal",
		"lambda.amazonaws.com":                   "lambda.amazonaws.com",
		" [ ] ":                                  "an unknown agent",
		"ignored. Nothing needs to be done":      "ignored.",
		"x\u202e/1.0\n rest":                     "x\uFFFD/1.0",
		strings.Repeat("long", 100):              strings.Repeat("long", 9) + "l" + "…",
		"APN/1.0 Some/1.0 \x1b[2J" + "Product/1": "\uFFFD[2JProduct/1",
	} {
		if got := agent(ua); got != want {
			t.Errorf("agent(%q) = %q, want %q", ua, got, want)
		}
	}
}

// R16: texts name a device as its user named it.
func TestDeviceNames(t *testing.T) {
	for serial, want := range map[string]string{
		"":    "an MFA device",
		phone: "virtual device bob-phone",
		spare: "security key spare-KEY",
		"arn:aws-cn:iam::111122223333:mfa/team/bob":         "virtual device team/bob",
		"arn:aws:iam::111122223333:sms-mfa/bob":             "SMS device bob",
		"arn:aws:iam::111122223333:mfa/":                    "virtual device arn:aws:iam::111122223333:mfa/",
		"GAHT12345678":                                      "hardware device GAHT12345678",
		"arn:aws:iam::111122223333:other/bob":               "MFA device arn:aws:iam::111122223333:other/bob",
		"arn:aws:iam::111122223333:u2f/user/bob/x\u202ekey": "security key x\uFFFDkey",
	} {
		if got := theDevice(serial); got != want {
			t.Errorf("theDevice(%q) = %q, want %q", serial, got, want)
		}
	}
}

func TestCaller(t *testing.T) {
	for _, c := range []struct {
		a    trail.Actor
		want string
	}{
		{trail.Actor{}, ""},
		{trail.Actor{Type: "IAMUser", Name: "alice"}, " by IAM user alice"},
		{trail.Actor{Type: "IAMUser", Name: "alice", Self: true}, " by the user"},
		{trail.Actor{Type: "Root", Name: "root"}, " by the root user"},
		{trail.Actor{Type: "AssumedRole", Name: "jo@example.com", ARN: "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a1b/jo@example.com"},
			" by Identity Center user jo@example.com"},
		{trail.Actor{Type: "FederatedUser", Name: "jo"}, " by federated user jo"},
		{trail.Actor{Type: "AWSService", Name: "x.amazonaws.com"}, " by AWS service x.amazonaws.com"},
		{trail.Actor{Type: "SAMLUser", Name: "jo"}, " by jo"},
		{trail.Actor{ARN: "arn:aws:x"}, " by arn:aws:x"},
		{trail.Actor{SourceIP: "192.0.2.1"}, " by an unknown caller"},
		{trail.Actor{Type: "IAMUser", Name: "a\u202e\nb"}, " by IAM user a\uFFFD\uFFFDb"},
	} {
		if got := by(&c.a); got != c.want {
			t.Errorf("by(%+v) = %q, want %q", c.a, got, c.want)
		}
	}
	if got := actorDetails(&trail.Actor{Type: "IAMUser", Name: "alice"}); got != " by IAM user alice, MFA not known" {
		t.Errorf("got %q", got)
	}
}

func TestTitlesNameTheAccount(t *testing.T) {
	named := exposure.Policy{Accounts: map[string]exposure.Account{"111122223333": {Name: "payroll"}, "444455556666": {Class: "sandbox"}}, Campaign: exposure.Campaigns{Users: 3, Within: time.Hour}}
	for _, tt := range []struct{ events, want string }{
		{"0 deactivate bob serial=A", "MFA removed from bob in payroll (111122223333) by alice"},
		{"0 deactivate bob serial=A partition=aws-cn", "MFA removed from bob in payroll (111122223333) (aws-cn) by alice"},
		{"0 deactivate bob serial=A account=444455556666", "MFA removed from bob in 444455556666 by alice"},
		{"0 deactivate bob serial=A fail=AccessDenied", "alice failed to remove MFA from bob in payroll (111122223333)"},
		{"0 deactivate al serial=A; 1 deactivate bob serial=B; 2 deactivate eve serial=C", "alice removed MFA from 3 users in payroll (111122223333)"},
	} {
		alerts := FoldUnder(named, script(t, tt.events)).Alerts()
		a := alerts[len(alerts)-1]
		if a.Title != tt.want || a.AccountName != named.Accounts[a.Account].Name {
			t.Errorf("%s: got %q, account %q, want %q", tt.events, a.Title, a.AccountName, tt.want)
		}
	}
}
