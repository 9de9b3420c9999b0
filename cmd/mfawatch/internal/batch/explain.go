package batch

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/dryrun"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// An Explained is a record with its consequences, or an escalation.
type Explained struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`   // its name
	ID      string    `json:"id"`      // eventID
	Origin  string    `json:"origin"`  // where it lies
	Account string    `json:"account"` // "" if the record names none
	User    string    `json:"user"`    // "" if it cannot be known
	Actor   string    `json:"actor"`
	Verdict string    `json:"verdict"` // watched, attempt, ignored or deadline
	Why     string    `json:"why"`     // ignored: the first test it failed; watched, without a step: why there is no alert
	Story   []string  `json:"story"`   // of the person so far
	Steps   []step    `json:"steps"`   // what it causes
}

// A step is an alert with its deliveries.
type step struct {
	Step       exposure.Step     `json:"step"`
	At         time.Time         `json:"at"` // when it is journalled
	Severity   exposure.Severity `json:"severity"`
	Reasons    []string          `json:"reasons"`
	Rule       string            `json:"rule,omitempty"`        // the severity rule's reason
	Waits      *time.Time        `json:"waits_until,omitempty"` // for the grace, or for an off-boarding to end
	waitsFor   string
	Planned    string           `json:"planned_change,omitempty"` // the ticket of the planned change that matches
	Title      string           `json:"title"`
	Deliveries []dryrun.Outcome `json:"deliveries"`
	Escalate   []time.Time      `json:"escalates"` // opened: when it will be, if nothing ends it
}

// Explain explains the records found, in order of time. Its sentences give times in
// the locale.
func Explain(found *Found, c *config.Config, router *route.Router, l output.Locale) []Explained {
	events := slices.Clone(found.Events)
	slices.SortStableFunc(events, func(a, b *trail.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID), strings.Compare(a.Origin, b.Origin))
	})
	var kept []*trail.Event
	var last time.Time
	seen := map[string]bool{}
	var all []Explained
	index := map[string]int{} // of what is explained, by event: records made by hand share IDs
	for _, e := range events {
		id := e.ID + "/" + e.Name
		if seen[id] {
			continue
		}
		seen[id] = true
		kept = append(kept, e)
		last = e.Time
		verdict := "watched"
		if e.Failed() {
			verdict = "attempt"
		}
		index[id] = len(all)
		all = append(all, Explained{Time: e.Time, Event: e.Name, ID: e.ID, Origin: e.Origin, Account: e.Account, User: e.User, Actor: e.Actor.Name, Verdict: verdict})
	}
	policy := c.Policy()
	until := last.Add(time.Hour)
	if n := len(policy.EscalateAfter); n > 0 {
		until = last.Add(policy.EscalateAfter[n-1] + time.Minute)
	}
	policy.Retention = 0 // all of it is here
	said := dryrun.Run(dryrun.Arrivals(kept, func(e *trail.Event) time.Time { return e.Time }), policy, until)
	dryrun.Simulate(said, router, c.People(), until)
	for _, s := range said {
		id := s.Alert.Event.ID + "/" + s.Alert.Event.Name
		if s.Alert.Step == exposure.Escalated { // it names the record of the removal
			id = s.Alert.ID
		}
		i, ok := index[id]
		if !ok { // a deadline
			i = len(all)
			index[id] = i
			all = append(all, Explained{Time: s.At, Event: string(s.Alert.Step), ID: s.Alert.ID, Account: s.Alert.Account, User: userOf(s.Alert), Verdict: "deadline"})
		}
		all[i].Steps = append(all[i].Steps, stepOf(s, policy))
	}
	silence := newSilence(alerting.FoldUnder(policy, kept), policy, l)
	for _, e := range kept {
		if x := &all[index[e.ID+"/"+e.Name]]; len(x.Steps) == 0 {
			x.Why = silence.why(e)
		}
	}
	sortByTime(all)
	stories(all, l)
	for _, i := range found.ignored {
		at, _ := time.Parse(time.RFC3339, i.Time)
		all = append(all, Explained{Time: at, Event: i.Name, ID: i.ID, Origin: i.Origin, Account: i.Account, Verdict: "ignored", Why: i.Why})
	}
	sortByTime(all)
	return all
}

func sortByTime(all []Explained) {
	slices.SortStableFunc(all, func(a, b Explained) int { return a.Time.Compare(b.Time) })
}

func userOf(a *processor.Alert) string {
	if a.User == nil {
		return ""
	}
	return *a.User
}

func stepOf(s *dryrun.Alert, policy exposure.Policy) step {
	a := s.Alert
	t := step{Step: a.Step, At: s.At, Severity: a.Severity, Reasons: a.Reasons, Rule: a.Rule, Title: a.Title}
	t.Deliveries = s.Outcomes()
	if s.At.After(a.Time) && a.Step != exposure.Escalated {
		t.Waits, t.waitsFor = &s.At, "an off-boarding"
		if policy.Grace > 0 {
			t.waitsFor = "the grace"
		}
	}
	if a.Expected != nil {
		t.Planned = a.Expected.Ticket
	}
	if (a.Step == exposure.Opened || a.Step == exposure.StepCampaign) && a.OpenedAt != nil {
		for _, delay := range policy.EscalateAfter {
			if at := a.OpenedAt.Add(delay); at.After(s.At) {
				t.Escalate = append(t.Escalate, at)
			}
		}
	}
	return t
}

// Within returns what lies in the range. The stories go back before it.
func Within(all []Explained, w bucket.Wanted) []Explained {
	return slices.DeleteFunc(all, func(x Explained) bool {
		return x.Time.Before(w.Since) || !w.Until.IsZero() && !x.Time.Before(w.Until) || len(w.Accounts) > 0 && !w.Account(x.Account)
	})
}

// stories fills in the history of each user before each record, in order of time.
func stories(all []Explained, l output.Locale) {
	so := map[string][]string{} // by account and name
	for i := range all {
		x := &all[i]
		person := x.Account + "/" + strings.ToLower(x.User)
		if x.User == "" {
			person = x.ID
		}
		x.Story = slices.Clip(so[person]) // a clone of each would be quadratic
		for _, s := range x.Steps {
			so[person] = append(so[person], string(s.Step)+" at "+l.Local(s.At))
		}
	}
}

// Write writes the explanation as text, in the locale of [Explain].
func (x *Explained) Write(w io.Writer, more bool, l output.Locale) error {
	var b strings.Builder
	if more {
		b.WriteByte('\n')
	}
	clean := func(s string) string { return safetext.Clean(s, 200) }
	b.WriteString(l.Time(x.Time) + "  " + clean(x.Event))
	if x.User != "" {
		b.WriteString(" of " + clean(x.User))
	}
	if x.Account != "" {
		b.WriteString(" in " + clean(l.Account("", x.Account)))
	}
	if x.Actor != "" {
		b.WriteString(" by " + clean(x.Actor))
	}
	line := func(label, text string) { fmt.Fprintf(&b, "\n  %-9s %s", label, text) }
	if x.Origin != "" {
		line("record", clean(x.ID)+" in "+clean(x.Origin))
	}
	switch x.Verdict {
	case "ignored":
		line("ignored", clean(x.Why))
	case "attempt":
		line("attempt", "the call failed: nothing changed")
	case "watched":
		line("watched", "it counts")
	}
	if len(x.Story) > 0 {
		line("so far", strings.Join(x.Story, ", "))
	}
	if len(x.Steps) == 0 && x.Verdict != "ignored" {
		line("no alert", clean(x.Why))
	}
	for _, s := range x.Steps {
		text := string(s.Severity)
		if len(s.Reasons) > 0 {
			text += ": " + strings.Join(s.Reasons, ", ")
		}
		if s.Rule != "" {
			text += "; by a rule: " + clean(s.Rule)
		}
		line(string(s.Step), text)
		line("", clean(s.Title))
		if s.Waits != nil {
			line("", "waits for "+s.waitsFor+" until "+l.Local(*s.Waits))
		}
		if s.Planned != "" {
			line("", "planned change "+clean(s.Planned))
		}
		for _, to := range s.Deliveries {
			line("", to.Text(s.At, l))
		}
		if len(s.Escalate) > 0 {
			times := make([]string, len(s.Escalate))
			for i, at := range s.Escalate {
				times[i] = l.Local(at)
			}
			line("", "escalates, if nothing ends it, at "+strings.Join(times, ", "))
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
