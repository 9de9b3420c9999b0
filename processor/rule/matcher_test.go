package rule

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// read compiles a matcher from YAML without the braces around it.
func read(t testing.TB, text string) *Matcher {
	t.Helper()
	m, err := Compile(parsed(t, text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func parsed(t testing.TB, text string) map[string]any {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte("{"+text+"}"), &config); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return config
}

func TestMatch(t *testing.T) {
	yes, no := true, false
	bob := Facts{
		Account: "111122223333", AccountName: "Payroll", AccountClass: "production", Partition: "aws", User: "Bob", Path: "/admins/",
		Actor: "alice", ActorType: "IAMUser", MFA: &no, SourceIP: "203.0.113.7", UserAgent: "aws-cli/2.15 Python/3.11",
		DeviceKind: "virtual", Protection: "unknown", Step: "opened", Severity: "high", Origin: "kafka://trail/3@17",
	}
	root := Facts{
		Account: "111122223333", User: RootUser, Root: true, Privileged: true, Self: true, MFA: &yes, SourceIP: "cloudformation.amazonaws.com",
		Step: "resolved", Severity: "info", Late: true, Expected: true, Campaign: true,
	}
	v6 := Facts{SourceIP: "2001:DB8::1"}
	mapped := Facts{SourceIP: "::ffff:10.1.2.3"}
	for _, tt := range []struct {
		matcher string
		facts   Facts
		want    bool
	}{
		{``, bob, true},
		{`account: "111122223333"`, bob, true},
		{`account: "1111222233"`, bob, false},
		{`account: ["444455556666", "1111*"]`, bob, true},
		{`account_name: payroll, account_class: production, partition: aws`, bob, true},
		{`account_name: payroll, account_class: sandbox`, bob, false},
		{`user: bob`, bob, true},
		{`user: BOB`, bob, true},
		{`user: "b?b"`, bob, true},
		{`user: "b?"`, bob, false},
		{`user: "*o*"`, bob, true},
		{`user: {not: [alice, "b*"]}`, bob, false},
		{`user: {is: "*", not: "svc-*"}`, bob, true},
		{`user: "?*"`, Facts{}, false},
		{`user: {not: "?*"}`, Facts{}, true},
		{`user: jürgen`, Facts{User: "JÜRGEN"}, true},
		{`path: "/admins/*"`, bob, true},
		{`root: false`, bob, true},
		{`root: true`, root, true},
		{`root: "true"`, root, true},
		{`user: aws root user`, root, true},
		{`privileged: true, self: true, late: true, planned_change: true, campaign: true`, root, true},
		{`late: {not: true}`, root, false},
		{`actor: al*, actor_type: iamuser`, bob, true},
		{`mfa: false`, bob, true},
		{`mfa: [true, unknown]`, bob, false},
		{`mfa: unknown`, v6, true},
		{`mfa: {not: true}`, v6, true},
		{`source_ip: 203.0.113.0/24`, bob, true},
		{`source_ip: 203.0.113.7`, bob, true},
		{`source_ip: {not: [10.0.0.0/8, 203.0.113.0/24]}`, bob, false},
		{`source_ip: {not: 10.0.0.0/8}`, root, true},
		{`source_ip: 10.0.0.0/8`, root, false},
		{`source_ip: "*.amazonaws.com"`, root, true},
		{`source_ip: "*"`, bob, true},
		{`source_ip: "2001:db8::/32"`, v6, true},
		{`source_ip: 10.0.0.0/8`, mapped, true},
		{`source_ip: 0.0.0.0/0`, Facts{}, false},
		{`user_agent: aws-cli*`, bob, true},
		{`device_kind: [virtual, hardware], protection: unknown`, bob, true},
		{`device_kind: {not: virtual}`, Facts{}, true},
		{`step: [opened, exploited]`, bob, true},
		{`step: {not: [opened, exploited]}`, bob, false},
		{`severity: high`, bob, true},
		{`severity: ">= high"`, bob, true},
		{`severity: ">high"`, bob, false},
		{`severity: "<= high"`, bob, true},
		{`severity: "< high"`, bob, false},
		{`severity: [info, ">= critical"]`, root, true},
		{`severity: {not: ">= medium"}`, root, true},
		{`origin: kafka://*`, bob, true},
	} {
		m := read(t, tt.matcher)
		if got := m.Match(&tt.facts); got != tt.want {
			t.Errorf("%s: got %v", tt.matcher, got)
		}
		if n := testing.AllocsPerRun(10, func() { m.Match(&tt.facts) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.matcher, n)
		}
		if len(m.conditions) == 0 {
			continue
		}
		again := read(t, m.String())
		if again.String() != m.String() || again.Match(&tt.facts) != tt.want {
			t.Errorf("%s: printed as %s, which reads as %s", tt.matcher, m, again)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ matcher, want string }{
		{`usr: bob`, `usr: unknown field; did you mean user?`},
		{`"a b": 1`, `"a b": unknown field; known are account, `},
		{`account: 111122223333`, `account: want text, in quotes, got 111122223333`},
		{`user: null`, `user: want text, got nothing`},
		{`user: []`, `user: want at least one value, got an empty list`},
		{`user: [[bob]]`, `user: want text, in quotes, got a list`},
		{`user: ""`, `user: want text; what is not known is {not: "?*"}`},
		{`user: "a\nb"`, `user: want text that can be printed`},
		{`user: {}`, `user: want a value, a list, or a map with is or not, got an empty map`},
		{`user: {no: bob}`, `user: want a value, a list, or a map with is or not, got no in it`},
		{`root: maybe`, `root: unknown maybe; known are false, true`},
		{`root: 1`, `root: want true or false, got 1`},
		{`root: null`, `root: want true or false, got nothing`},
		{`step: open`, `step: unknown open; did you mean opened?`},
		{`step: "op*"`, `step: unknown "op*"`},
		{`severity: ">= hgih"`, `severity: unknown hgih; did you mean high?`},
		{`severity: "=> high"`, `severity: want one of >=, >, <= and < before a severity, got "=> high"`},
		{`severity: "> critical"`, `severity: nothing is > critical`},
		{`severity: 3`, `severity: want one of info, low, medium, high, critical, got 3`},
		{`source_ip: 10.0.0.0/33`, `source_ip: want an address, a network such as 203.0.113.0/24, or the name of a service, got "10.0.0.0/33"`},
		{`source_ip: "10.0.*"`, `source_ip: want an address, a network`},
		{`source_ip: 10.1.2.3/8`, `source_ip: want a network with zeros behind its bits, such as 10.0.0.0/8, got "10.1.2.3/8"`},
		{`source_ip: "::ffff:10.0.0.0/104"`, `source_ip: want an IPv4 network as such`},
		{`usr: bob, step: open`, "step: unknown open; did you mean opened?\nusr: unknown field"},
	} {
		_, err := Compile(parsed(t, tt.matcher))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v\nwant %s", tt.matcher, err, tt.want)
		}
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct{ matcher, want string }{
		{``, `anything`},
		{`user: Bob, account: "111122223333"`, `account: "111122223333", user: bob`},
		{`user: [a, b, a]`, `user: [a, b]`},
		{`user: "true"`, `user: "true"`},
		{`user: "*"`, `user: "*"`},
		{`user: {is: a*, not: [ab, ac]}`, `user: {is: a*, not: [ab, ac]}`},
		{`root: "TRUE"`, `root: true`},
		{`severity: [critical, high]`, `severity: ">= high"`},
		{`severity: "< high"`, `severity: [info, low, medium]`},
		{`step: {not: resolved}`, `step: {not: resolved}`},
		{`mfa: {is: true, not: true}`, `mfa: {is: false, not: false}`},
		{`source_ip: [10.0.0.0/8, 203.0.113.7]`, `source_ip: ["10.0.0.0/8", "203.0.113.7"]`},
	} {
		if got := read(t, tt.matcher).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.matcher, got, tt.want)
		}
	}
}
