package rule

import "slices"

// RootUser is the User of the root user.
const RootUser = "AWS ROOT USER"

// Facts are the fields of an alert that matchers see; "" is unknown. For root,
// User is RootUser and Privileged is true: contradictions are detected by that.
type Facts struct {
	Account      string // its number, in 12 digits
	AccountName  string // as the configuration names it
	AccountClass string // such as production or sandbox
	Partition    string // aws, aws-cn, aws-us-gov, …
	User         string
	Path         string // of the user within IAM: /, /admins/
	Root         bool
	Privileged   bool
	Actor        string // the actor's name
	ActorType    string // userIdentity.type, as written
	Self         bool   // the user is the actor
	MFA          *bool  // whether the actor's session had MFA; nil: unknown
	SourceIP     string // sourceIPAddress, which need not be an address
	UserAgent    string
	DeviceKind   string // one of DeviceKinds
	Protection   string // one of Protections
	Step         string // one of Steps
	Severity     string // one of Severities
	Late         bool   // alerted long after it happened
	Expected     bool   // a planned change
	Campaign     bool   // one of several users hit by one actor
	Origin       string // where the record came from
}

// The words of the fields that accept only these.
var (
	Severities  = []string{"info", "low", "medium", "high", "critical"} // lowest first
	Steps       = []string{"attempted", "opened", "reduced", "updated", "exploited", "escalated", "resolved", "campaign", "suspect", "enrolled", "failed"}
	DeviceKinds = []string{"virtual", "security_key", "hardware", "sms", "unknown"}
	Protections = []string{"none", "other_device", "unknown"}

	truths     = []string{"false", "true"}
	mfaAnswers = []string{"false", "true", "unknown"}
)

// field is one that a matcher may name: text that is compared with patterns, or
// one of a few words.
type field struct {
	name  string
	text  func(*Facts) string
	words []string         // not nil: the only ones that it accepts
	word  func(*Facts) int // the index of its word; -1: none
}

// fields are in the order in which a matcher is printed.
var fields = []field{
	{name: "account", text: func(f *Facts) string { return f.Account }},
	{name: "account_name", text: func(f *Facts) string { return f.AccountName }},
	{name: "account_class", text: func(f *Facts) string { return f.AccountClass }},
	{name: "partition", text: func(f *Facts) string { return f.Partition }},
	{name: "user", text: func(f *Facts) string { return f.User }},
	{name: "path", text: func(f *Facts) string { return f.Path }},
	truthField("root", func(f *Facts) bool { return f.Root }),
	truthField("privileged", func(f *Facts) bool { return f.Privileged }),
	{name: "actor", text: func(f *Facts) string { return f.Actor }},
	{name: "actor_type", text: func(f *Facts) string { return f.ActorType }},
	truthField("self", func(f *Facts) bool { return f.Self }),
	{name: "mfa", words: mfaAnswers, word: mfaAnswer},
	{name: sourceIP, text: func(f *Facts) string { return f.SourceIP }},
	{name: "user_agent", text: func(f *Facts) string { return f.UserAgent }},
	{name: "device_kind", words: DeviceKinds, word: func(f *Facts) int { return slices.Index(DeviceKinds, f.DeviceKind) }},
	{name: "protection", words: Protections, word: func(f *Facts) int { return slices.Index(Protections, f.Protection) }},
	{name: "step", words: Steps, word: func(f *Facts) int { return slices.Index(Steps, f.Step) }},
	{name: severity, words: Severities, word: func(f *Facts) int { return slices.Index(Severities, f.Severity) }},
	truthField("late", func(f *Facts) bool { return f.Late }),
	truthField("planned_change", func(f *Facts) bool { return f.Expected }),
	truthField("campaign", func(f *Facts) bool { return f.Campaign }),
	{name: "origin", text: func(f *Facts) string { return f.Origin }},
}

// The fields with a notation of their own.
const (
	sourceIP = "source_ip"
	severity = "severity"
)

// Fields lists the names that a matcher accepts.
func Fields() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// fieldIndex returns the place of a field in fields, -1 if unknown.
func fieldIndex(name string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.name == name })
}

func truthField(name string, of func(*Facts) bool) field {
	return field{name: name, words: truths, word: func(f *Facts) int {
		if of(f) {
			return 1
		}
		return 0
	}}
}

func mfaAnswer(f *Facts) int {
	switch {
	case f.MFA == nil:
		return 2
	case *f.MFA:
		return 1
	}
	return 0
}
