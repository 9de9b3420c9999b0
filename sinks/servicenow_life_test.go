package sinks

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

func TestServiceNowEndedBySomebody(t *testing.T) {
	story := conformStory("bob")
	for _, state := range []string{"6", "7", "8", "deleted"} {
		for _, c := range []struct {
			a    *processor.Alert
			want verdict
		}{{story[1], superseded}, {story[2], told}, {story[3], told}, {story[4], superseded}} {
			t.Run(state+" "+string(c.a.Step), func(t *testing.T) {
				r := newSnRig(t, nil)
				ref := ticketTell(t, r.sink, story[0], "", told)
				if state == "deleted" {
					r.incidents = r.incidents[:0]
				} else {
					r.incidents[0].fields["state"] = state
				}
				newRef := ticketTell(t, r.sink, c.a, ref, c.want)
				if c.want == superseded {
					if _, err := r.sink.Send(t.Context(), c.a, ref); !strings.Contains(err.Error(), "INC0010000") {
						t.Errorf("which incident is not said: %v", err)
					}
					return
				}
				last := r.incidents[len(r.incidents)-1]
				if newRef == ref && state != "deleted" || last.fields["state"] != "1" || last.fields["urgency"]+last.fields["impact"] != "11" ||
					!strings.Contains(last.fields["description"], "This follows INC0010000, which was ended.") {
					t.Errorf("ref %s after %s: %v", newRef, ref, last.fields)
				}
				n := len(r.incidents)
				if again := ticketTell(t, r.sink, c.a, ref, told); again != newRef || len(r.incidents) != n { // a copy
					t.Errorf("ref %s, again %s; %d incidents, then %d", newRef, again, n, len(r.incidents))
				}
				ticketTell(t, r.sink, story[4], newRef, told)
				if last.fields["state"] != "6" {
					t.Errorf("state %s in the end", last.fields["state"])
				}
			})
		}
	}
}

func TestServiceNowRace(t *testing.T) {
	story := conformStory("bob")
	for _, step := range []int{1, 4} {
		for _, how := range []string{"7", "deleted"} {
			r := newSnRig(t, nil)
			ref := ticketTell(t, r.sink, story[0], "", told)
			r.before = func(s *snServer, method, _ string) {
				switch {
				case method != http.MethodPatch:
				case how == "deleted":
					s.incidents = nil
				default:
					s.incidents[0].fields["state"] = how
				}
			}
			ticketTell(t, r.sink, story[step], ref, retry)
			ticketTell(t, r.sink, story[step], ref, superseded)
		}
	}
}

func TestServiceNowBeginsAgain(t *testing.T) {
	r := newSnRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	ref = ticketTell(t, r.sink, story[4], ref, told)
	again, end := *story[0], *story[4]
	again.ID, end.ID = again.ID+"r1", end.ID+"r1"
	newRef := ticketTell(t, r.sink, &again, ref, told)
	if newRef == ref || len(r.incidents) != 2 || !strings.Contains(r.incidents[1].fields["description"], "This follows INC0010000") {
		t.Fatalf("ref %s, then %s, %d incidents", ref, newRef, len(r.incidents))
	}
	ticketTell(t, r.sink, &end, newRef, told)
	if r.incidents[1].fields["state"] != "6" {
		t.Error("the second is not resolved")
	}
}

func TestServiceNowUnheard(t *testing.T) {
	r := newSnRig(t, nil)
	end := conformStory("bob")[4]
	end.Reasons = []string{exposure.ReasonExploited}
	ref := ticketTell(t, r.sink, end, "", told)
	i := r.incidents[0].fields
	if i["state"] != "1" || i["urgency"]+i["impact"] != "11" || r.sink.Receipt(ref) != "INC0010000" {
		t.Errorf("%s: %v", ref, i)
	}
	ticketTell(t, r.sink, end, "", told)
	if len(r.incidents) != 1 {
		t.Errorf("%d incidents", len(r.incidents))
	}
}

func TestServiceNowDuplicates(t *testing.T) {
	r := newSnRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	r.incidents = append(r.incidents, &snRecord{fields: map[string]string{
		"sys_id": strings.Repeat("f", 32), "number": "INC0099999", "state": "1", "correlation_id": ticketKey(story[0], "")}})
	ref = ticketTell(t, r.sink, story[1], ref, told)
	if len(r.incidents[0].journal) != 1 || !strings.Contains(r.incidents[0].journal[0], "INC0099999 can be closed") || len(r.incidents[1].journal) > 0 {
		t.Errorf("%q, %q", r.incidents[0].journal, r.incidents[1].journal)
	}
	if !strings.Contains(r.log.String(), "INC0099999") {
		t.Errorf("logged: %s", r.log.String())
	}
	ticketTell(t, r.sink, story[4], ref, told)
	if r.incidents[0].fields["state"] != "6" || r.incidents[1].fields["state"] != "1" {
		t.Error("not the oldest was resolved")
	}
}

func TestServiceNowStrangers(t *testing.T) {
	r := newSnRig(t, nil)
	r.columnGone = "correlation_id"
	r.incidents = []*snRecord{{fields: map[string]string{"sys_id": strings.Repeat("e", 32), "number": "INC0000001", "state": "1", "description": "printer"}}}
	ref := ticketTell(t, r.sink, conformStory("bob")[0], "", told)
	ticketTell(t, r.sink, conformStory("bob")[1], ref, told)
	if len(r.incidents) != 2 || len(r.incidents[0].journal) > 0 || len(r.incidents[1].journal) != 1 {
		t.Errorf("%+v, %+v", r.incidents[0], r.incidents[1:])
	}
}

func TestServiceNowEcho(t *testing.T) {
	r := newSnRig(t, func(c *ServiceNowConfig) { c.AssignmentGroup = strings.Repeat("0", 32) })
	r.unwritten = []string{"correlation_id"}
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	if got, want := r.sink.Receipt(ref), "INC0010000; but the instance did not keep correlation_id,assignment_group: let the user write and read it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(r.log.String(), "correlation_id, assignment_group") {
		t.Errorf("logged: %s", r.log.String())
	}
	ref = ticketTell(t, r.sink, story[1], ref, told)
	ticketTell(t, r.sink, story[4], ref, told)
	if len(r.incidents) != 1 || r.incidents[0].fields["state"] != "6" {
		t.Errorf("%d incidents, the first %v", len(r.incidents), r.incidents[0].fields)
	}
}

func TestServiceNowMandatory(t *testing.T) {
	r := newSnRig(t, nil)
	r.mandatory = map[string]string{"caller_id": "Caller"}
	r.closing = map[string]string{"u_root_cause": "Root cause"}
	story := conformStory("bob")
	ticketTell(t, r.sink, story[0], "", misconfigured, "mandatory: Caller", "set them under fields")
	with := r.make(t, func(c *ServiceNowConfig) { c.Fields = map[string]string{"caller_id": snGroup} })
	ref := ticketTell(t, with, story[0], "", told)
	ticketTell(t, with, story[4], ref, permanent, "mandatory: Root cause", "close_fields", "then retry the dead letter")
	if r.incidents[0].fields["state"] != "1" {
		t.Error("resolved all the same")
	}
	with = r.make(t, func(c *ServiceNowConfig) { c.CloseFields = map[string]string{"u_root_cause": "other"} })
	ticketTell(t, with, story[4], ref, told)
	i := r.incidents[0].fields
	if i["state"] != "6" || i["close_code"] != "Resolved by caller" || i["u_root_cause"] != "other" {
		t.Errorf("%v", i)
	}

	r.incidents[0].fields["state"] = "2"
	r.unwritten = []string{"state"}
	end := *story[4]
	end.ID += "r1"
	ticketTell(t, with, &end, ref, permanent, `INC0010000 was not resolved: its state is still "2"`, "resolved_state")
}

func TestServiceNowUrgency(t *testing.T) {
	for severity, want := range map[exposure.Severity]string{"critical": "11", "high": "12", "medium": "22", "low": "23", "info": "33"} {
		r := newSnRig(t, nil)
		a := conformStory("bob")[0]
		a.Severity = severity
		ref := ticketTell(t, r.sink, a, "", told)
		now := func() string { return r.incidents[0].fields["urgency"] + r.incidents[0].fields["impact"] }
		if now() != want {
			t.Errorf("%s: %s, want %s", severity, now(), want)
		}
		note := conformStory("bob")[3]
		note.Severity = exposure.Low
		ref = ticketTell(t, r.sink, note, ref, told)
		if severity != "info" && now() != want {
			t.Errorf("%s: %s after a note, want %s", severity, now(), want)
		}
		escalation := conformStory("bob")[1]
		escalation.Severity = exposure.High
		ticketTell(t, r.sink, escalation, ref, told)
		if now() != "11" {
			t.Errorf("%s: %s after an escalation", severity, now())
		}
	}
	r := newSnRig(t, func(c *ServiceNowConfig) { c.Urgency = map[string]string{"high": "3"} })
	ticketTell(t, r.sink, conformStory("bob")[0], "", told)
	if i := r.incidents[0].fields; i["urgency"]+i["impact"] != "32" {
		t.Errorf("configured: %v", i)
	}
}
