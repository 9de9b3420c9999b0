package message

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Wording holds the operator's additions to the words of an alert, for all the
// channels that people read. The zero value adds nothing.
type Wording struct {
	Zone *time.Location // times are given in it too, beside UTC; nil: in UTC alone
	Page string         // URL of mfawatch's own page, without a slash at its end; "": no link to it
}

// Message is an alert in words for people, in the order in which they are read:
// cleaned and without links that a record chose (see safetext), bounded, but not
// escaped for any channel. It depends only on the alert and the Wording.
type Message struct {
	Severity exposure.Severity
	Step     exposure.Step
	Over     bool     // there is nothing more to wait for: it is resolved
	Title    string   // who, what and where: one line, 300 bytes at most
	Short    string   // severity and title, for where nothing else has room
	Summary  string   // how, why it is that bad: sentences, 1,000 bytes at most
	Advice   string   // what to do now, 300 bytes at most; "" where nothing is to be done
	Lists    []List   // what to check, what may have been left behind
	Facts    []Fact   // who, by whom, from where, since when
	Links    []Link   // to the record and to mfawatch's page
	Reasons  []string // in words; the codes are the alert's
}

// Fact is one line of detail. Neither part is empty.
type Fact struct{ Name, Value string }

// Link leads to more detail. The URL is well formed, and an attacker never chooses
// its host.
type Link struct{ Text, URL string }

// Bounds of a message, in bytes.
const (
	maxMessageTitle   = 300
	maxMessageSummary = 1000
	maxMessageAdvice  = 300
	MaxFact           = 200
)

// Message returns the alert in words.
func (w Wording) Message(a *processor.Alert) Message {
	advice := safetext.Line(a.Advice, maxMessageAdvice)
	summary := a.Summary
	if a.Advice != "" {
		summary = strings.Join(strings.Fields(strings.Replace(summary, a.Advice, "", 1)), " ")
	}
	m := Message{
		Severity: a.Severity, Step: a.Step, Over: a.Step == exposure.Resolved,
		Title:   safetext.Line(a.Title, maxMessageTitle),
		Summary: safetext.Line(summary, maxMessageSummary),
		Advice:  advice,
		Lists:   w.lists(a),
		Facts:   w.facts(a),
		Reasons: reasons(a),
	}
	m.Short = strings.ToUpper(string(m.Severity)) + ": " + m.Title
	if m.Over {
		m.Short = "RESOLVED: " + m.Title
	}
	m.Links = w.links(a)
	return m
}

// Worst returns the first alert of the highest severity.
func Worst(alerts []*processor.Alert) *processor.Alert {
	return slices.MaxFunc(alerts, func(a, b *processor.Alert) int { return a.Severity.Level() - b.Severity.Level() })
}

// Account returns the number of an account, with its name if it has one.
func Account(name, number string) string {
	if name != "" {
		return name + " (" + number + ")"
	}
	return number
}

// AlertAccount returns the account of a, with its partition unless that is aws.
func AlertAccount(a *processor.Alert) string {
	account := Account(a.AccountName, a.Account)
	if a.Partition != "" && a.Partition != "aws" {
		account += ", " + a.Partition
	}
	return account
}

// ShortTime is t to the minute, in the zone of the Wording, for where there is no room
// for both zones.
func (w Wording) ShortTime(t time.Time) string {
	if w.Zone != nil {
		return t.In(w.Zone).Format("2 Jan 15:04 MST")
	}
	return t.UTC().Format("2 Jan 15:04 UTC")
}

// Time is t in UTC, and in the zone of the Wording where that is another.
func (w Wording) Time(t time.Time) string {
	text := t.UTC().Format("2006-01-02 15:04:05 UTC")
	if w.Zone == nil || w.Zone == time.UTC {
		return text
	}
	layout := "15:04:05 MST"
	local := t.In(w.Zone)
	if local.Format(time.DateOnly) != t.UTC().Format(time.DateOnly) {
		layout = "2006-01-02 " + layout
	}
	return text + " (" + local.Format(layout) + ")"
}

// facts returns the details in the order in which the person on call asks.
func (w Wording) facts(a *processor.Alert) []Fact {
	var facts []Fact
	add := func(name, value string) {
		if value = safetext.Line(value, MaxFact); value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	switch {
	case a.Users != nil:
		add("Users", fmt.Sprintf("%d, of whom %d are without MFA: %s", a.Users.Count, a.Users.Open, strings.Join(a.Users.Names, ", ")))
	case a.Root:
		add("User", "the root user")
	case a.User == nil:
		add("User", "unknown: the record does not say")
	default:
		add("User", *a.User)
	}
	add("Account", AlertAccount(a))
	switch {
	case a.OpenedAt == nil:
	case a.Step == exposure.Reduced: // who is not without MFA
		add("Time", w.Time(*a.OpenedAt))
	default:
		add("Without MFA since", w.Time(*a.OpenedAt))
	}
	if a.ResolvedAt != nil {
		add("Over since", w.Time(*a.ResolvedAt))
	}
	if a.OpenedAt == nil || !a.Time.Equal(*a.OpenedAt) && (a.ResolvedAt == nil || !a.Time.Equal(*a.ResolvedAt)) {
		add("Time", w.Time(a.Time))
	}
	switch {
	case a.Resolution != nil && *a.Resolution == exposure.Closed:
		add("Closed by", cmp.Or(a.Actor.Name, a.Actor.ARN))
	default:
		add("Done by", doneBy(a.Actor))
		add("Signed in", signIn(a))
		add("Session", session(a))
	}
	add("From", a.Actor.SourceIP)
	if a.Actor.UserAgent != a.Actor.SourceIP {
		add("With", a.Actor.UserAgent)
	}
	if a.Device.Serial != nil {
		add("Device", *a.Device.Serial)
	}
	if a.Protection == exposure.ProtectionOtherDevice {
		add("Still protected by", "another MFA device")
	}
	if a.Attempts != nil {
		tries := fmt.Sprint(a.Attempts.Count)
		if len(a.Attempts.ErrorCodes) > 0 {
			tries += ", AWS answered " + strings.Join(a.Attempts.ErrorCodes, ", ")
		}
		add("Tries", tries)
	}
	if a.Event.Name != "" && !internal(a) {
		add("Record", a.Event.Name+" in "+a.Event.Region+", event "+a.Event.ID)
	}
	return facts
}

// doneBy names the actor of the step.
func doneBy(a exposure.AlertActor) string {
	who := a.ARN
	if who == "" {
		who = strings.TrimSpace(a.Type + " " + a.Name)
	}
	if a.Self && who != "" {
		return "the user (" + who + ")"
	}
	return who
}

// internal reports whether the event of the alert is one of ours, which is no
// record of CloudTrail: a passed deadline, a person's closing.
func internal(a *processor.Alert) bool { return strings.HasPrefix(a.Event.Name, "mfawatch:") }

// signIn says whether the sign-in of the step had MFA; "" if the step is none.
func signIn(a *processor.Alert) string {
	switch {
	case a.Step == exposure.Exploited, a.Step == exposure.Updated && a.Event.Name == trail.ConsoleLogin && a.Event.ErrorCode == nil:
		return "without MFA"
	case a.Resolution != nil && (*a.Resolution == exposure.MFASeen || *a.Resolution == exposure.Proved):
		return "with MFA"
	}
	return ""
}

// session says whether the actor's session had MFA; "" for a sign-in, which has
// none before it, and for an unknown actor.
func session(of *processor.Alert) string {
	a := of.Actor
	switch {
	case of.Event.Name == trail.ConsoleLogin, signIn(of) != "", a.ARN+a.Name+a.Type == "":
		return ""
	case a.MFA != nil && *a.MFA:
		return "with MFA"
	case a.MFA != nil:
		return "without MFA"
	case strings.HasPrefix(a.AccessKeyID, "AKIA"):
		return "a long-term access key: MFA not known"
	}
	return "MFA not known"
}

// consoles are the hosts of the management console by partition. Others have
// none that this program could know.
var consoles = map[string]string{
	"aws":        "console.aws.amazon.com",
	"aws-cn":     "console.amazonaws.cn",
	"aws-us-gov": "console.amazonaws-us-gov.com",
}

// links lead to the record in the console's event history, which shows 90 days,
// and to mfawatch's own page.
func (w Wording) links(a *processor.Alert) []Link {
	var links []Link
	if host := consoles[a.Partition]; host != "" && a.Event.ID != "" && !internal(a) && regionName(a.Event.Region) {
		links = append(links, Link{"CloudTrail record", "https://" + a.Event.Region + "." + host + "/cloudtrailv2/home?region=" + a.Event.Region +
			"#/events/" + url.PathEscape(a.Event.ID)})
	}
	if user := userPage(a); user != "" {
		links = append(links, Link{"User in IAM", user})
	}
	if w.Page != "" && a.Exposure != nil {
		links = append(links, Link{"mfawatch", w.Page + "/exposures/" + url.PathEscape(*a.Exposure)})
	}
	return links
}

// userPage is the user's security credentials in the console, "" where there is
// no such page.
func userPage(a *processor.Alert) string {
	host := consoles[a.Partition]
	if host == "" || a.Root || a.User == nil || *a.User == "" || !userName().MatchString(*a.User) {
		return ""
	}
	return "https://" + host + "/iam/home#/users/details/" + url.PathEscape(*a.User) + "?section=security_credentials"
}

// userName matches the names of users that IAM allows.
var userName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`) })

// regionName reports whether s may stand in a host's name: what a record says
// of its region steers no link elsewhere.
func regionName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Follows reports whether a step has others before it, as a rule.
func Follows(step exposure.Step) bool {
	switch step {
	case exposure.Opened, exposure.Reduced, exposure.StepCampaign:
		return false
	}
	return !step.Alone()
}
