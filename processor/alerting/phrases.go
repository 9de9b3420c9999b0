package alerting

import (
	"fmt"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Bounds of texts of the caller's choice within a sentence, in bytes.
const (
	maxName   = 80
	maxSerial = 120
	maxAgent  = 40
	maxDetail = 120
)

// userName names the user within a sentence.
func userName(user string, root bool) string {
	switch {
	case root:
		return "the root user"
	case user == "":
		return "an unknown user"
	}
	return safetext.Clean(user, maxName)
}

// userAgain refers to a user that the sentence has named.
func userAgain(user string, root bool) string {
	switch {
	case root:
		return "it"
	case user == "":
		return "the user"
	}
	return safetext.Clean(user, maxName)
}

// inTheAccount names the account within a sentence, after a space: by its number,
// behind its name if the policy has one.
func inTheAccount(p *exposure.Policy, partition, account string) string {
	s := " in " + safetext.Clean(account, maxName)
	if name := p.Accounts[account].Name; name != "" && account != "" {
		s = " in " + safetext.Clean(name, maxName) + " (" + safetext.Clean(account, maxName) + ")"
	}
	if partition != "aws" && partition != "" {
		s += " (" + safetext.Clean(partition, maxName) + ")"
	}
	return s
}

// actor names the actor.
func actor(a *trail.Actor) string {
	if strings.EqualFold(a.Type, "Root") {
		return "the root user"
	}
	for _, s := range []string{a.Name, a.ARN, a.Type} {
		if s != "" {
			return safetext.Clean(s, maxName)
		}
	}
	return "an unknown caller"
}

// actorBeside names the actor in a sentence that names the user: with its kind
// if it has the user's name, so that they can be distinguished.
func actorBeside(a *trail.Actor, user string) string {
	if name := actor(a); a.Self || !strings.EqualFold(name, user) {
		return name
	}
	return caller(a)
}

// caller names the actor with its kind.
func caller(a *trail.Actor) string {
	switch {
	case a.AssumedRoot:
		return "AssumeRoot session " + actor(a)
	case a.Self:
		return "the user"
	case exposure.IsPerson(a):
		return "Identity Center user " + actor(a)
	}
	switch a.Type {
	case "IAMUser":
		return "IAM user " + actor(a)
	case "AssumedRole":
		return "role " + actor(a)
	case "FederatedUser":
		if a.Via != "" {
			return actor(a) + ", federated through " + safetext.Clean(a.Via, maxName)
		}
		return "federated user " + actor(a)
	case "IdentityCenterUser":
		return "Identity Center user " + actor(a)
	case "AWSService":
		return "AWS service " + actor(a)
	}
	return actor(a)
}

// by is caller after " by "; "" if nothing is known.
func by(a *trail.Actor) string {
	if *a == (trail.Actor{}) {
		return ""
	}
	return " by " + caller(a)
}

// actorDetails says by whom, in what session and from where; "" if nothing is
// known.
func actorDetails(a *trail.Actor) string {
	if *a == (trail.Actor{}) {
		return ""
	}
	session := ", session without MFA,"
	switch {
	case a.MFA != nil && *a.MFA:
		session = ", session with MFA,"
	case a.MFA == nil && exposure.ActorReasons(a)&exposure.HasLongTermKey != 0:
		session = ", long-term key,"
	case a.MFA == nil:
		session = ", MFA not known,"
	}
	if f := from(a); f != "" {
		return by(a) + session + f
	}
	return by(a) + strings.TrimSuffix(session, ",")
}

// from says where a call came from.
func from(a *trail.Actor) string {
	s := ""
	if a.SourceIP != "" {
		s += " from " + safetext.Clean(a.SourceIP, maxName)
	}
	if a.UserAgent != "" && a.UserAgent != a.SourceIP {
		s += " with " + agent(a.UserAgent)
	}
	return s
}

// agent returns the product that a user agent names, without its components.
func agent(ua string) string {
	words := strings.Fields(strings.Trim(ua, " []"))
	switch {
	case len(words) == 0:
		return "an unknown agent"
	case strings.HasPrefix(words[0], "Mozilla/"):
		return "a browser"
	case words[0] == "Coral/Netty4", words[0] == "signin.amazonaws.com", words[0] == "console.amazonaws.com":
		return "the AWS console" // of the console's own calls
	case words[0] == "AWS" && len(words) == 2 && words[1] == "Internal":
		return "AWS Internal"
	case strings.HasPrefix(words[0], "APN/") && len(words) > 2:
		return safetext.Clean(words[2], maxAgent) // an AWS partner's: APN/1.0 Company/1.0 Product/1.0
	}
	return safetext.Clean(words[0], maxAgent)
}

// theDevice names a device within a sentence by its short name, or by its whole
// serial if its form is unknown.
func theDevice(serial string) string {
	if serial == "" {
		return "an MFA device"
	}
	kind, name := "MFA device ", ""
	switch trail.DeviceKind(serial) {
	case "virtual":
		kind = "virtual device "
		_, name, _ = strings.Cut(serial, ":mfa/")
	case "security_key":
		kind = "security key "
		name = shortName(serial)
	case "sms":
		kind = "SMS device "
		_, name, _ = strings.Cut(serial, ":sms-mfa/")
	case "hardware":
		kind = "hardware device "
	}
	if name == "" {
		name = serial
	}
	return kind + safetext.Clean(name, maxSerial)
}

// shortName returns the last part of an ARN, or else the whole name.
func shortName(s string) string {
	if i := strings.LastIndexByte(s, '/'); strings.HasPrefix(s, "arn:") && i+1 < len(s) {
		s = s[i+1:]
	}
	return safetext.Clean(s, maxDetail)
}

// list joins the parts of a sentence.
func list(parts []string) string {
	n := len(parts) - 1
	if n < 1 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:n], ", ") + " and " + parts[n]
}

// span formats a duration for people, by its largest units.
func span(d time.Duration) string {
	count := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	s := int64(d / time.Second)
	for _, u := range []struct {
		name, lesser string
		size, small  int64
	}{{"day", "hour", 86400, 3600}, {"hour", "minute", 3600, 60}, {"minute", "second", 60, 1}} {
		if s < u.size {
			continue
		}
		text := count(s/u.size, u.name)
		if rest := s % u.size / u.small; rest > 0 {
			text += " " + count(rest, u.lesser)
		}
		return text
	}
	return count(s, "second")
}

// upper capitalizes the beginning of a title, except a user's name.
func upper(s string) string {
	for _, word := range []string{"the ", "an ", "a "} {
		if strings.HasPrefix(s, word) {
			return capital(s)
		}
	}
	return s
}

// capital capitalizes the beginning of a sentence.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// stamp formats a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// clock formats a time within a sentence about a step at ref. It names the day
// if that differs.
func clock(t, ref time.Time) string {
	if t, ref = t.UTC(), ref.UTC(); t.Format(time.DateOnly) == ref.Format(time.DateOnly) {
		return t.Format("at 15:04:05 UTC")
	}
	return "at " + stamp(t)
}
