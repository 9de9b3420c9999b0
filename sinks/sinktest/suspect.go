package sinktest

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// SuspectStory is an exposure whose device an intruder may hold, until a person
// closes it: opened, exploited, suspect, resolved.
func SuspectStory(name string) []*processor.Alert {
	story := Story(name)
	suspect, closed := *story[3], story[4]
	suspect.ID, suspect.Step = story[3].ID+"s", exposure.Suspect
	suspect.Title = name + " in 000000000000 has a device again, which an intruder may hold"
	suspect.Advice = "Check what is listed, in order."
	suspect.Summary = "A device was enabled after a sign-in without MFA. " + suspect.Advice
	suspect.Checks = []string{"Ask " + name + " by telephone whether the new device is theirs", "Take back what was given meanwhile"}
	suspect.LeftBehind = []exposure.AlertLeftBehind{{Kind: "access_key", ID: "AKIALEFTBEHIND", Time: story[3].Time}, {Kind: "password", Time: story[3].Time}}
	suspect.Reasons = []string{exposure.ReasonExploited, exposure.ReasonForeignDevice, exposure.ReasonLeftBehind}
	how := exposure.Closed
	closed.Resolution, closed.Actor = &how, exposure.AlertActor{Type: "Person", Name: "ann <script>"}
	closed.Event = exposure.AlertEvent{ID: closed.ID, Name: "mfawatch:Closed"}
	closed.Title = "The exposure of " + name + " in 000000000000 was closed by ann <script>"
	closed.Summary = "The note: seen with <b>" + name + "</b> & [code]www.evil.example.[/code]"
	return []*processor.Alert{story[0], story[2], &suspect, closed}
}

// A suspect exposure stays open, as urgent as can be, and people read what to check
// and what was left behind; then a person closes it.
func (c Channel) suspect(t *testing.T) {
	s := c.Start(t)
	sink, ref := s.open(t), ""
	story := SuspectStory("bob")
	for i, state := range []string{"open", "escalated", "escalated", "resolved"} {
		before := len(s.Holds(story[0]).Texts)
		ref = s.deliver(t.Context(), t, sink, story[i], ref)
		s.is(t, story[i], 1, state, i+1)
		if texts := s.Holds(story[i]).Texts; c.People && story[i].Step == exposure.Suspect {
			c.saysWhatToCheck(t, story[i], strings.Join(texts[min(before, len(texts)):], "\n"), strings.Join(texts, "\n"))
		}
	}
	for _, text := range s.Holds(story[3]).Texts {
		if s.Wrong != nil && s.Wrong(text) != "" || strings.Contains(text, "www.evil") || strings.Contains(text, "mfawatch:") {
			t.Errorf("%s: %s", s.Wrong(text), text)
		}
	}
	// An exposure that is suspect when it is first seen begins so.
	other := SuspectStory("eve")[2]
	s.deliver(t.Context(), t, sink, other, "")
	if got := s.Holds(other); got.Cases != 1 || got.State == "resolved" || got.Notes != 1 {
		t.Errorf("suspect alone: %+v", got)
	}
}

// saysWhatToCheck wants the first check in the newest text, and all there is beside
// it, unless the channel has no room.
func (c Channel) saysWhatToCheck(t *testing.T, a *processor.Alert, newest, all string) {
	t.Helper()
	if newest == "" {
		newest = all // it was edited
	}
	want := []string{a.Checks[0]}
	if !c.Brief {
		want = append(append(want, a.Checks[1:]...), "access key AKIALEFTBEHIND", "password, given")
	}
	for _, text := range want {
		if !strings.Contains(strings.Join(strings.Fields(newest), " "), text) {
			t.Errorf("nobody reads %q in\n%s", text, newest)
		}
	}
	if strings.Contains(newest, "RESOLVED") {
		t.Errorf("people read that it is over:\n%s", newest)
	}
}
