package config

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

// PolicyConfig configures the policy: which events are alerts, when, and how severe.
type PolicyConfig struct {
	Grace              time.Duration    `koanf:"grace"`          // for a replacement, before any alert
	EscalateAfter      []time.Duration  `koanf:"escalate_after"` // since the opening, ascending
	LateAfter          time.Duration    `koanf:"late_after"`     // age from which a step is marked late
	Campaign           CampaignConfig   `koanf:"campaign"`
	Privileged         []map[string]any `koanf:"privileged"`   // matchers: users whose alerts are more severe
	Enrollers          []map[string]any `koanf:"enrollers"`    // matchers: actors who may enable devices for others
	Offboarders        []map[string]any `koanf:"offboarders"`  // matchers: actors who remove users
	RootSignIn         string           `koanf:"root_sign_in"` // which sign-ins of root are alerted
	Severity           []SeverityConfig `koanf:"severity"`     // the first that matches decides
	PlannedChanges     []PlannedChange  `koanf:"planned_changes"`
	PlannedChangesFile string           `koanf:"planned_changes_file"` // more of them, reloaded when it changes

	fromFile []PlannedChange   // the entries of the file
	fileSum  [sha256.Size]byte // of the file when it was loaded
}

// CampaignConfig configures when one actor's exposures become one campaign.
type CampaignConfig struct {
	Users  int           `koanf:"users"` // 0: never
	Within time.Duration `koanf:"within"`
}

// A SeverityConfig is a severity rule.
type SeverityConfig struct {
	Match    map[string]any `koanf:"match"`
	Severity string         `koanf:"severity"`
	Reason   string         `koanf:"reason"` // shown in the alert
}

func defaultPolicy() PolicyConfig {
	p := exposure.DefaultPolicy()
	return PolicyConfig{
		Grace: p.Grace, EscalateAfter: p.EscalateAfter, LateAfter: p.LateAfter,
		Campaign: CampaignConfig{p.Campaign.Users, p.Campaign.Within}, RootSignIn: exposure.RootSignIns[0],
	}
}

// Bounds of the policy. A reason stands in every text message.
const (
	maxGrace  = time.Hour
	maxReason = 120 // bytes
)

// privilegedFields are the fields that a privileged matcher may have: those of
// the user, not of the event.
var privilegedFields = []string{"account", "account_name", "account_class", "partition", "user", "path"}

// actorFields are the fields that a matcher of enrollers or offboarders may
// have: those of the actor, except the user agent, which every caller chooses.
var actorFields = []string{"account", "account_name", "account_class", "partition", "actor", "actor_type", "mfa", "source_ip"}

// policyMistakes returns every mistake in the policy. It reads the file of planned
// changes.
func (s *Settings) policyMistakes() []Mistake {
	var all []Mistake
	bad := func(field, format string, args ...any) {
		all = append(all, Mistake{field, fmt.Sprintf(format, args...)})
	}
	for i, d := range s.EscalateAfter {
		field := fmt.Sprintf("escalate_after[%d]", i)
		switch {
		case d <= 0:
			bad(field, "want a positive duration, got %s", FormatDuration(d))
		case i > 0 && d <= s.EscalateAfter[i-1]:
			bad(field, "want the delays in ascending order, got %s after %s", FormatDuration(d), FormatDuration(s.EscalateAfter[i-1]))
		}
	}
	if n := len(s.EscalateAfter); n > 0 && s.Retention < s.EscalateAfter[n-1] {
		bad("retention", "want at least the last of escalate_after, %s, got %s", FormatDuration(s.EscalateAfter[n-1]), FormatDuration(s.Retention))
	}
	switch {
	case s.Grace < 0 || s.Grace > maxGrace:
		bad("grace", "want 0s to %s, got %s", FormatDuration(maxGrace), FormatDuration(s.Grace))
	case s.Grace > 0 && len(s.EscalateAfter) > 0 && s.Grace >= s.EscalateAfter[0]:
		bad("grace", "want less than the first of escalate_after, %s, got %s", FormatDuration(s.EscalateAfter[0]), FormatDuration(s.Grace))
	}
	if s.LateAfter <= 0 {
		bad("late_after", "want a positive duration, got %s", FormatDuration(s.LateAfter))
	}
	if n := s.Campaign.Users; n < 0 || n == 1 || n > 1000 {
		bad("campaign.users", "want 2 to 1000 users, or 0 for no campaigns, got %d", n)
	}
	switch d := s.Campaign.Within; {
	case d <= 0 || d > 24*time.Hour:
		bad("campaign.within", "want a positive duration of at most 1d, got %s", FormatDuration(d))
	case s.Campaign.Users == 0 && d != defaultPolicy().Campaign.Within:
		bad("campaign.within", "has no effect with campaign.users 0; want 2 users or more, or remove it")
	}
	_, wrong := compileAll("privileged", s.Privileged, privilegedFields)
	all = append(all, wrong...)
	_, wrong = compileAll("enrollers", s.Enrollers, actorFields)
	all = append(all, wrong...)
	_, wrong = compileAll("offboarders", s.Offboarders, actorFields)
	all = append(all, wrong...)
	all = append(all, OneOf("root_sign_in", s.RootSignIn, exposure.RootSignIns...)...)
	for i, r := range s.Severity {
		field := fmt.Sprintf("severity[%d]", i)
		_, wrong := compile(field+".match", r.Match, nil)
		all = append(all, wrong...)
		all = append(all, OneOf(field+".severity", r.Severity, rule.Severities...)...)
		all = append(all, textMistakes(field+".reason", r.Reason, "why, such as sandbox accounts hold nothing")...)
	}
	for i := range s.PlannedChanges {
		all = append(all, s.PlannedChanges[i].mistakes(fmt.Sprintf("planned_changes[%d]", i))...)
	}
	return append(all, s.readPlannedChangesFile()...)
}

// compile returns the matcher. It may name only the given fields; nil: any.
func compile(field string, match map[string]any, fields []string) (*rule.Matcher, []Mistake) {
	if len(match) == 0 {
		return nil, []Mistake{{field, "missing; want at least one field, such as user: \"*-admin\""}}
	}
	for _, name := range slices.Sorted(maps.Keys(match)) {
		if fields != nil && slices.Contains(rule.Fields(), name) && !slices.Contains(fields, name) {
			return nil, []Mistake{{join(field, name), "not allowed here; want one of " + strings.Join(fields, ", ")}}
		}
	}
	m, err := rule.Compile(match)
	if err != nil {
		return nil, MistakesOf(field, err)
	}
	if why := m.Never(); why != "" {
		return nil, []Mistake{{field, "can never match: " + why}}
	}
	return m, nil
}

// compileAll returns the matchers of a list that are correct.
func compileAll(field string, list []map[string]any, fields []string) (all []*rule.Matcher, wrong []Mistake) {
	for i, match := range list {
		m, mistakes := compile(fmt.Sprintf("%s[%d]", field, i), match, fields)
		if len(mistakes) > 0 {
			wrong = append(wrong, mistakes...)
			continue
		}
		all = append(all, m)
	}
	return all, wrong
}

// textMistakes returns the mistakes in a text that is shown in alerts.
func textMistakes(field, text, want string) []Mistake {
	switch {
	case strings.TrimSpace(text) == "":
		return []Mistake{{field, "missing; want " + want}}
	case len(text) > maxReason:
		return []Mistake{{field, fmt.Sprintf("want at most %d bytes, got %d", maxReason, len(text))}}
	case strings.ContainsFunc(text, unicode.IsControl):
		return []Mistake{{field, "want one line of text"}}
	}
	return nil
}

// Policy returns the policy. The configuration must be valid.
func (s *Settings) Policy() exposure.Policy {
	p := exposure.Policy{
		Grace: s.Grace, EscalateAfter: s.EscalateAfter, LateAfter: s.LateAfter, Retention: s.Retention,
		Campaign: exposure.Campaigns{Users: s.Campaign.Users, Within: s.Campaign.Within},
		Accounts: make(map[string]exposure.Account, len(s.Accounts)),
	}
	for number, a := range s.Accounts {
		p.Accounts[number] = exposure.Account{Name: a.Name, Class: a.Class}
	}
	p.RootSignIn = s.RootSignIn
	p.Privileged, _ = compileAll("privileged", s.Privileged, privilegedFields)
	p.Enrollers, _ = compileAll("enrollers", s.Enrollers, actorFields)
	p.Offboarders, _ = compileAll("offboarders", s.Offboarders, actorFields)
	for _, r := range s.Severity {
		if m, wrong := compile("severity", r.Match, nil); wrong == nil {
			p.Severity = append(p.Severity, exposure.SeverityRule{
				Match: m, Ends: m.Asks("step"), Severity: exposure.Severity(r.Severity), Reason: r.Reason,
			})
		}
	}
	for _, e := range slices.Concat(s.PlannedChanges, s.fromFile) {
		if x, wrong := e.compile("planned_changes"); wrong == nil {
			p.PlannedChanges = append(p.PlannedChanges, x)
		}
	}
	return p
}
