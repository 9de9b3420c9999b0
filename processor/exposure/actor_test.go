package exposure

import (
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail"
)

func TestJ10_Identity(t *testing.T) {
	role := func(account, role, session, ip string) trail.Actor {
		return trail.Actor{Type: "AssumedRole", Name: role + "/" + session, ARN: "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session, SourceIP: ip}
	}
	user := func(arn, ip string) trail.Actor {
		return trail.Actor{Type: "IAMUser", Name: "eve", ARN: arn, SourceIP: ip}
	}
	behalf := func(a trail.Actor, of, source string) trail.Actor {
		a.OnBehalfOf, a.SourceIdentity = of, source
		return a
	}
	federated := func(name, session string) trail.Actor {
		return trail.Actor{Type: "FederatedUser", Name: name, ARN: "arn:aws:sts::1:federated-user/" + name, AccessKeyID: session}
	}
	const sso = "AWSReservedSSO_Admin_0123456789abcdef"
	person := func(account, session, ip string) trail.Actor {
		a := role(account, sso, session, ip)
		a.Name = session
		return a
	}
	for _, c := range []struct {
		name string
		a, b trail.Actor
		same bool
	}{
		{"a user from two addresses, moved within IAM", user("arn:aws:iam::1:user/eve", "192.0.2.1"), user("arn:aws:iam::1:user/ops/EVE", "203.0.113.1"), true},
		{"users of two accounts", user("arn:aws:iam::1:user/eve", ""), user("arn:aws:iam::2:user/eve", ""), false},
		{"a role with a new session name", role("1", "admin", "a", "192.0.2.1"), role("1", "admin", "b", "192.0.2.77"), true},
		{"a role from two networks", role("1", "admin", "a", "192.0.2.1"), role("1", "admin", "a", "192.0.3.1"), false},
		{"a role from one /48", role("1", "admin", "a", "2001:db8:1:2::3"), role("1", "admin", "b", "2001:db8:1:9::4"), true},
		{"a role through a service", role("1", "admin", "a", "cloudformation.amazonaws.com"), role("1", "admin", "b", "cloudformation.amazonaws.com"), true},
		{"roles of two accounts", role("1", "admin", "a", "192.0.2.1"), role("2", "admin", "a", "192.0.2.1"), false},
		{"an Identity Center session across accounts", person("1", "Jane@example.com", "192.0.2.1"), person("2", "jane@example.com", "203.0.113.1"), true},
		{"two people of Identity Center", person("1", "jane", ""), person("1", "jon", ""), false},
		{"a role named like one of Identity Center", role("1", sso, "jane", ""), role("1", sso, "jon", ""), true},
		{"a person, and a role that names its session alike", person("1", "jane", ""), role("1", sso, "jane", ""), false},
		{"an Identity Center user, whatever the session", behalf(role("1", "a", "x", ""), "u-1", ""), behalf(role("2", "b", "y", "192.0.2.1"), "u-1", "z"), true},
		{"a source identity across roles", behalf(role("1", "a", "x", ""), "", "jane"), behalf(role("2", "b", "y", ""), "", "jane"), true},
		{"a federated user's sessions", federated("fed", "ASIA1"), federated("fed", "ASIA2"), true},
		{"two federated users of one broker", federated("fed", ""), federated("ned", ""), false},
	} {
		if got := actorKey(&c.a) == actorKey(&c.b); got != c.same {
			t.Errorf("%s: same %v, want %v: %q, %q", c.name, got, c.same, actorKey(&c.a), actorKey(&c.b))
		}
	}
}
