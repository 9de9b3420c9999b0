package batch

import (
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A silence explains why records cause no alert.
type silence struct {
	policy exposure.Policy
	locale output.Locale
	by     map[string][]*exposure.Exposure // by person, in order of opening
	failed map[string]bool                 // persons of whom calls failed
}

func newSilence(h alerting.History, policy exposure.Policy, l output.Locale) *silence {
	s := &silence{policy: policy, locale: l, by: map[string][]*exposure.Exposure{}, failed: map[string]bool{}}
	for _, x := range h.Exposures {
		s.by[person(x.Account, x.User)] = append(s.by[person(x.Account, x.User)], x)
	}
	for _, a := range h.Attempts {
		s.failed[person(a.Account, a.User)] = true
	}
	return s
}

func person(account, user string) string { return account + "/" + strings.ToLower(user) }

// why returns why a watched record causes no alert.
func (s *silence) why(e *trail.Event) string {
	name := userText(e.User)
	if e.Failed() {
		if s.failed[person(e.Account, e.User)] {
			return "the call failed; it counts with the attempt before it"
		}
		return "the call failed, and no device of " + name + " was its target"
	}
	if e.User == "" {
		return "the record does not say whose device or credentials it concerns"
	}
	var last *exposure.Exposure
	for _, x := range s.by[person(e.Account, e.User)] {
		if !x.OpenedAt.After(e.Time) {
			last = x
		}
	}
	switch {
	case last == nil:
		return "MFA was never removed from " + name + " before it, in what was read"
	case last.ResolvedAt != nil && last.ResolvedAt.Before(e.Time):
		return "no exposure of " + name + " is open: the last ended at " + s.locale.Local(*last.ResolvedAt) + " (" + strings.ReplaceAll(last.Resolution, "_", " ") + ")"
	case last.Reduced:
		return "another device of " + name + " is active"
	}
	if text := s.waits(last); text != "" {
		return text
	}
	if i := slices.IndexFunc(last.Steps, func(m exposure.Moment) bool { return m.Event != nil && m.Event.ID == e.ID }); i >= 0 {
		return "its step " + string(last.Steps[i].Step) + " is alerted with another record of the exposure"
	}
	return "the exposure of " + name + " is open since " + s.locale.Local(last.OpenedAt) + ", and this changes nothing"
}

// waits returns until when an exposure waits before it is alerted, "" if it does
// not wait.
func (s *silence) waits(x *exposure.Exposure) string {
	if s.policy.Grace <= 0 || x.Exploited || x.Changed || x.Root {
		return ""
	}
	until := x.OpenedAt.Add(s.policy.Grace)
	text := "waits for the grace until " + s.locale.Local(until)
	if x.ResolvedAt != nil && !x.ResolvedAt.After(until) {
		return text + "; the exposure ended before, at " + s.locale.Local(*x.ResolvedAt)
	}
	return text
}

func userText(user string) string {
	switch user {
	case "":
		return "an unknown user"
	case trail.RootUser:
		return "root"
	}
	return user
}
