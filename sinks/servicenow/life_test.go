package servicenow

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// An incident that a person resolved, closed, cancelled or deleted ends the
// exposure there, except for alerts that are always delivered: they open another.
func TestEndedBySomebody(t *testing.T) {
	story := sinktest.Story("bob")
	for _, state := range []string{"6", "7", "8", "deleted"} {
		for _, c := range []struct {
			a    *processor.Alert
			want sinks.Verdict
		}{{story[1], sinks.VerdictClosedByPerson}, {story[2], sinks.VerdictDelivered}, {story[3], sinks.VerdictDelivered}, {story[4], sinks.VerdictClosedByPerson}} {
			t.Run(state+" "+string(c.a.Step), func(t *testing.T) {
				r := newRig(t, nil)
				ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
				if state == "deleted" {
					r.incidents = r.incidents[:0]
				} else {
					r.incidents[0].fields["state"] = state
				}
				newRef := sinktest.Deliver(t, r.sink, c.a, ref, c.want)
				if c.want == sinks.VerdictClosedByPerson {
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
				if again := sinktest.Deliver(t, r.sink, c.a, ref, sinks.VerdictDelivered); again != newRef || len(r.incidents) != n { // a copy
					t.Errorf("ref %s, again %s; %d incidents, then %d", newRef, again, n, len(r.incidents))
				}
				sinktest.Deliver(t, r.sink, story[4], newRef, sinks.VerdictDelivered)
				if last.fields["state"] != "6" {
					t.Errorf("state %s in the end", last.fields["state"])
				}
			})
		}
	}
}

// A sink that moves to another instance under one name begins anew there: none of its
// incidents was deleted.
func TestMoved(t *testing.T) {
	story := sinktest.Story("bob")
	old, moved := newRig(t, nil), newRig(t, nil)
	ref := sinktest.Deliver(t, old.sink, story[0], "", sinks.VerdictDelivered)
	ref = sinktest.Deliver(t, moved.sink, story[1], ref, sinks.VerdictDelivered)
	if len(moved.incidents) != 1 || strings.Contains(moved.incidents[0].fields["description"], "This follows") {
		t.Fatalf("%d incidents: %v", len(moved.incidents), moved.incidents)
	}
	if got := moved.sink.Receipt(ref); got != "INC0010000" {
		t.Error(got)
	}
	sinktest.Deliver(t, moved.sink, story[4], ref, sinks.VerdictDelivered)
	if state := moved.incidents[0].fields["state"]; state != "6" {
		t.Errorf("state %s in the end", state)
	}
	// Back at the old one, its incident is found by the exposure.
	if back := sinktest.Deliver(t, old.sink, story[2], ref, sinks.VerdictDelivered); len(old.incidents) != 1 || back == ref {
		t.Errorf("%d incidents at the old instance, ref %s", len(old.incidents), back)
	}
}

// An incident may be closed or deleted between the look and the change: the
// next attempt sees it.
func TestRace(t *testing.T) {
	story := sinktest.Story("bob")
	for _, step := range []int{1, 4} {
		for _, how := range []string{"7", "deleted"} {
			r := newRig(t, nil)
			ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
			r.before = func(s *server, method, _ string) {
				switch {
				case method != http.MethodPatch:
				case how == "deleted":
					s.incidents = nil
				default:
					s.incidents[0].fields["state"] = how
				}
			}
			sinktest.Deliver(t, r.sink, story[step], ref, sinks.VerdictRetry)
			sinktest.Deliver(t, r.sink, story[step], ref, sinks.VerdictClosedByPerson)
		}
	}
}

// An exposure that opens again after its end has an incident of its own.
func TestBeginsAgain(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	ref = sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	again, end := *story[0], *story[4]
	again.ID, end.ID = again.ID+"r1", end.ID+"r1"
	newRef := sinktest.Deliver(t, r.sink, &again, ref, sinks.VerdictDelivered)
	if newRef == ref || len(r.incidents) != 2 || !strings.Contains(r.incidents[1].fields["description"], "This follows INC0010000") {
		t.Fatalf("ref %s, then %s, %d incidents", ref, newRef, len(r.incidents))
	}
	sinktest.Deliver(t, r.sink, &end, newRef, sinks.VerdictDelivered)
	if r.incidents[1].fields["state"] != "6" {
		t.Error("the second is not resolved")
	}
}

// An exposure that was exploited and is over before any alert was delivered is
// not passed over.
func TestUnheard(t *testing.T) {
	r := newRig(t, nil)
	end := sinktest.Story("bob")[4]
	end.Reasons = []string{exposure.ReasonExploited}
	ref := sinktest.Deliver(t, r.sink, end, "", sinks.VerdictDelivered)
	i := r.incidents[0].fields
	if i["state"] != "1" || i["urgency"]+i["impact"] != "11" || r.sink.Receipt(ref) != "INC0010000" {
		t.Errorf("%s: %v", ref, i)
	}
	sinktest.Deliver(t, r.sink, end, "", sinks.VerdictDelivered)
	if len(r.incidents) != 1 {
		t.Errorf("%d incidents", len(r.incidents))
	}
}

// Of two incidents the oldest is kept, and the other is named.
func TestDuplicates(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	r.incidents = append(r.incidents, &record{fields: map[string]string{
		"sys_id": strings.Repeat("f", 32), "number": "INC0099999", "state": "1", "correlation_id": ticket.Key(story[0], "")}})
	ref = sinktest.Deliver(t, r.sink, story[1], ref, sinks.VerdictDelivered)
	if len(r.incidents[0].journal) != 1 || !strings.Contains(r.incidents[0].journal[0], "INC0099999 can be closed") || len(r.incidents[1].journal) > 0 {
		t.Errorf("%q, %q", r.incidents[0].journal, r.incidents[1].journal)
	}
	if !strings.Contains(r.log.String(), "INC0099999") {
		t.Errorf("logged: %s", r.log.String())
	}
	sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	if r.incidents[0].fields["state"] != "6" || r.incidents[1].fields["state"] != "1" {
		t.Error("not the oldest was resolved")
	}
}

// However often people end an incident while the exposure goes on, the one that is
// open is kept up to date.
func TestManyEnded(t *testing.T) {
	r := newRig(t, nil)
	a := sinktest.Story("bob")[2]
	ref := ""
	for n := range 25 {
		again := *a
		again.ID = fmt.Sprintf("%sr%d", a.ID, n)
		ref = sinktest.Deliver(t, r.sink, &again, ref, sinks.VerdictDelivered)
		r.incidents[n].fields["state"] = "6"
	}
	r.incidents[24].fields["state"] = "2"
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[3], ref, sinks.VerdictDelivered)
	if len(r.incidents) != 25 || len(r.incidents[24].journal) != 1 {
		t.Errorf("%d incidents, and %d notes in the one that is open", len(r.incidents), len(r.incidents[24].journal))
	}
}

// Notes without end, such as those of a botnet's sign-ins, do not keep what follows from
// the incident.
func TestNotesWithoutEnd(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	r.incidents[0].journal = append(r.incidents[0].journal, strings.Repeat("x", 5<<20))
	ref = sinktest.Deliver(t, r.sink, story[3], ref, sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	if i := r.incidents[0]; len(r.incidents) != 1 || len(i.journal) != 2 || i.fields["state"] != "6" {
		t.Errorf("%d incidents, %d notes, state %s", len(r.incidents), len(i.journal), i.fields["state"])
	}
}

// An instance leaves out the parts of a query that it does not understand: other
// people's incidents stay as they are.
func TestStrangers(t *testing.T) {
	r := newRig(t, nil)
	r.columnGone = "correlation_id"
	r.incidents = []*record{{fields: map[string]string{"sys_id": strings.Repeat("e", 32), "number": "INC0000001", "state": "1", "description": "printer"}}}
	ref := sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[1], ref, sinks.VerdictDelivered)
	if len(r.incidents) != 2 || len(r.incidents[0].journal) > 0 || len(r.incidents[1].journal) != 1 {
		t.Errorf("%+v, %+v", r.incidents[0], r.incidents[1:])
	}
}

// A field that was set and not kept is named.
func TestEcho(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AssignmentGroup = strings.Repeat("0", 32) })
	r.unwritten = []string{"correlation_id"}
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	if got, want := r.sink.Receipt(ref), "INC0010000; but the instance did not keep correlation_id,assignment_group: let the user write and read it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(r.log.String(), "correlation_id, assignment_group") {
		t.Errorf("logged: %s", r.log.String())
	}
	ref = sinktest.Deliver(t, r.sink, story[1], ref, sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	if len(r.incidents) != 1 || r.incidents[0].fields["state"] != "6" {
		t.Errorf("%d incidents, the first %v", len(r.incidents), r.incidents[0].fields)
	}
}

// The error for a field that the instance requires names the key that sets it.
func TestMandatory(t *testing.T) {
	r := newRig(t, nil)
	r.mandatory = map[string]string{"caller_id": "Caller"}
	r.closing = map[string]string{"u_root_cause": "Root cause"}
	story := sinktest.Story("bob")
	sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictMisconfigured, "mandatory: Caller", "set them under fields")
	with := r.make(t, func(c *Config) { c.Fields = map[string]string{"caller_id": group} })
	ref := sinktest.Deliver(t, with, story[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, with, story[4], ref, sinks.VerdictPermanent, "mandatory: Root cause", "under fields", "then retry the dead letter")
	if r.incidents[0].fields["state"] != "1" {
		t.Error("resolved all the same")
	}
	r.incidents[0].fields["u_root_cause"] = "other" // as a person fills it in, or fields when it is opened
	sinktest.Deliver(t, with, story[4], ref, sinks.VerdictDelivered)
	i := r.incidents[0].fields
	if i["state"] != "6" || i["close_code"] != "Closed by monitoring" || i["u_root_cause"] != "other" {
		t.Errorf("%v", i)
	}

	r.incidents[0].fields["state"] = "2"
	r.unwritten = []string{"state"}
	end := *story[4]
	end.ID += "r1"
	sinktest.Deliver(t, with, &end, ref, sinks.VerdictPermanent, `INC0010000 was not resolved: its state is still "2"`, "resolved_state")
}

// Urgency and impact follow the severity, are raised and never lowered.
func TestUrgency(t *testing.T) {
	for severity, want := range map[exposure.Severity]string{"critical": "11", "high": "12", "medium": "22", "low": "23", "info": "33"} {
		r := newRig(t, nil)
		a := sinktest.Story("bob")[0]
		a.Severity = severity
		ref := sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered)
		now := func() string { return r.incidents[0].fields["urgency"] + r.incidents[0].fields["impact"] }
		if now() != want {
			t.Errorf("%s: %s, want %s", severity, now(), want)
		}
		note := sinktest.Story("bob")[3]
		note.Severity = exposure.Low
		ref = sinktest.Deliver(t, r.sink, note, ref, sinks.VerdictDelivered)
		if severity != "info" && now() != want {
			t.Errorf("%s: %s after a note, want %s", severity, now(), want)
		}
		escalation := sinktest.Story("bob")[1]
		escalation.Severity = exposure.High
		sinktest.Deliver(t, r.sink, escalation, ref, sinks.VerdictDelivered)
		if now() != "11" {
			t.Errorf("%s: %s after an escalation", severity, now())
		}
	}
	r := newRig(t, func(c *Config) { c.Urgency = map[string]string{"high": "3"} })
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictDelivered)
	if i := r.incidents[0].fields; i["urgency"]+i["impact"] != "32" {
		t.Errorf("configured: %v", i)
	}
}

// The title, urgency and impact follow the present state.
func TestTitleFollows(t *testing.T) {
	r := newRig(t, nil)
	ref := ""
	for i, want := range []struct{ title, impact string }{{"HIGH: MFA removed", "2"}, {"CRITICAL: bob in 000000000000 signed in", "1"}, {"CRITICAL: bob in 000000000000 has a device again", "1"}, {"RESOLVED: ", "1"}} {
		ref = sinktest.Deliver(t, r.sink, sinktest.SuspectStory("bob")[i], ref, sinks.VerdictDelivered)
		if f := r.incidents[0].fields; !strings.HasPrefix(f["short_description"], want.title) || f["impact"] != want.impact {
			t.Errorf("%q, impact %s; want %q, %s", f["short_description"], f["impact"], want.title, want.impact)
		}
	}
}
