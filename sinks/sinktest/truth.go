package sinktest

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// lives are the alerts that the channel is sent, by what each belongs to.
func (c Channel) lives(t *testing.T) (names []string, of map[string][]*processor.Alert) {
	of = map[string][]*processor.Alert{}
	for _, a := range Folded(t) {
		if c.People && a.MachineOnly() {
			continue
		}
		name := caseOf(a)
		if of[name] == nil {
			names = append(names, name)
		}
		of[name] = append(of[name], a)
	}
	return names, of
}

// The alerts that exposure makes have their life at the channel, and no text that
// people read contradicts the record.
func (c Channel) folded(t *testing.T) {
	s := c.Start(t)
	sink := s.open(t)
	names, of := c.lives(t)
	for _, name := range names {
		ref := ""
		for _, a := range of[name] {
			before := len(s.Holds(a).Texts)
			ref = s.deliver(t.Context(), t, sink, a, ref)
			got := s.Holds(a)
			if over := a.Step == exposure.Resolved; (got.State == "resolved") != over && got.Cases > 0 {
				t.Errorf("%s %q: %s", a.Step, a.Title, got.State)
			}
			if texts := got.Texts[min(before, len(got.Texts)):]; len(texts) > 0 {
				c.contradicts(t, a, strings.Join(texts, "\n"))
			}
			if len(got.Texts) == 0 && c.People && got.Cases > 0 {
				t.Errorf("%s %q: people read nothing", a.Step, a.Title)
			}
		}
	}
}

// Through a dispatcher that groups, each exposure ends as it did.
func (c Channel) foldedAndGrouped(t *testing.T) {
	s := c.Start(t)
	names, of := c.lives(t)
	r := NewRig(t, filepath.Join(t.TempDir(), "mfawatch.db"), s.open(t), dispatch.DeliveryConfig{People: c.People, Group: dispatch.GroupConfig{Wait: 20 * time.Millisecond}})
	for _, name := range names {
		Journal(t, r.Journal, of[name]...)
	}
	r.Idle()
	if letters, err := r.Journal.DeadLetters("a"); err != nil || len(letters) > 0 {
		t.Errorf("dead letters %v, %v", letters, err)
	}
	for _, name := range names {
		last := of[name][len(of[name])-1]
		if got := s.Holds(last); got.Cases > 0 && (got.State == "resolved") != (last.Step == exposure.Resolved) {
			t.Errorf("after %s %q: %+v", last.Step, last.Title, got)
		}
	}
	r.Stop()
}

var (
	eventLink = regexp.MustCompile(`#/events/([0-9A-Za-z-]+)`)
	byItself  = regexp.MustCompile(`(?i)\bfrom (\S+) in [^.:|]*? by (\S+)`)
)

// contradicts fails where a text of the alert says something else than the alert's
// record, or says nothing where it should say something.
func (c Channel) contradicts(t *testing.T, a *processor.Alert, text string) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %q: "+format+" in\n%s", append(append([]any{a.Step, a.Title}, args...), text)...)
	}
	without := func(words ...string) {
		t.Helper()
		for _, w := range words {
			if strings.Contains(text, w) {
				bad("%q", w)
			}
		}
	}
	without("mfawatch:")
	for _, code := range exposure.ReasonWords {
		if strings.Contains(code, "_") {
			without(code)
		}
	}
	if a.Advice == "" {
		without("What to do")
	}
	if a.Step != exposure.Resolved {
		without("RESOLVED")
	}
	if a.Step != exposure.Resolved && a.Step != exposure.Suspect {
		without("has MFA again")
	}
	c.contradictsLists(bad, a, strings.Join(strings.Fields(text), " "))
	for _, m := range byItself.FindAllStringSubmatch(text, -1) {
		if m[1] == m[2] {
			bad("%q", m[0])
		}
	}
	if !strings.Contains(text, a.Account) && !c.Brief {
		bad("no account")
	}
	if a.User != nil && !a.Root && !strings.Contains(text, *a.User) {
		bad("no user")
	}
	c.contradictsRecord(bad, without, a, text)
}

// contradictsLists wants what to check, and what was left behind.
func (c Channel) contradictsLists(bad func(string, ...any), a *processor.Alert, text string) {
	switch {
	case len(a.Checks) == 0:
	case c.Brief:
		if !strings.Contains(text, "Check: ") {
			bad("nothing to check")
		}
		return
	default:
		for _, check := range a.Checks {
			if !strings.Contains(strings.ReplaceAll(text, "&#39;", "'"), check) {
				bad("no %q", check)
			}
		}
	}
	for _, l := range a.LeftBehind {
		if !strings.Contains(text, strings.ReplaceAll(l.Kind, "_", " ")+" "+l.ID) {
			bad("no %s %s", l.Kind, l.ID)
		}
	}
}

// contradictsRecord compares the text with the record of the alert.
func (c Channel) contradictsRecord(bad func(string, ...any), without func(...string), a *processor.Alert, text string) {
	var r struct {
		EventID             string `json:"eventID"`
		EventName           string `json:"eventName"`
		AdditionalEventData struct{ MFAUsed string }
		UserIdentity        struct {
			Type           string `json:"type"`
			ARN            string `json:"arn"`
			SessionContext struct {
				Attributes struct {
					MFA string `json:"mfaAuthenticated"`
				} `json:"attributes"`
			} `json:"sessionContext"`
		} `json:"userIdentity"`
	}
	if a.Record == nil {
		return
	}
	if err := json.Unmarshal(a.Record, &r); err != nil {
		bad("the record: %v", err)
		return
	}
	for _, link := range eventLink.FindAllStringSubmatch(text, -1) {
		if link[1] != r.EventID {
			bad("a link to event %s, want %s", link[1], r.EventID)
		}
	}
	switch r.AdditionalEventData.MFAUsed {
	case "No":
		without("MFA not known", "Signed in: with MFA")
	case "Yes":
		without("MFA not known", "Signed in: without MFA")
	}
	if r.UserIdentity.Type != "IAMUser" && r.UserIdentity.Type != "Root" {
		return
	}
	switch r.UserIdentity.SessionContext.Attributes.MFA {
	case "true":
		without("Session: without MFA", "session without MFA")
	case "false":
		without("Session: with MFA", "session with MFA")
	}
}
