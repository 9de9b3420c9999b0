package zendesk

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// A ticket that a person solved, closed or deleted ends the exposure there,
// except for alerts that are always delivered.
func TestEndedBySomebody(t *testing.T) {
	story := sinktest.Story("bob")
	for _, status := range []string{"solved", "closed", "deleted"} {
		for _, c := range []struct {
			a    *processor.Alert
			want sinks.Verdict
		}{{story[1], sinks.VerdictClosedByPerson}, {story[2], sinks.VerdictDelivered}, {story[3], sinks.VerdictDelivered}, {story[4], sinks.VerdictClosedByPerson}} {
			t.Run(status+" "+string(c.a.Step), func(t *testing.T) {
				r := newRig(t, nil)
				ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
				r.tickets[0].status, r.tickets[0].deleted = status, status == "deleted"
				newRef := sinktest.Deliver(t, r.sink, c.a, ref, c.want)
				if c.want == sinks.VerdictClosedByPerson {
					return
				}
				last := r.tickets[len(r.tickets)-1]
				switch {
				case status == "solved" && (len(r.tickets) != 1 || last.status != "open" || len(last.comments) != 2):
					t.Errorf("not reopened: %+v", last)
				case status == "closed" && (len(r.tickets) != 2 || last.follows != 1 || ticket.WithoutSite(newRef) != "2"):
					t.Errorf("no follow-up: %+v", last)
				case status == "deleted" && (len(r.tickets) != 2 || ticket.WithoutSite(newRef) != "2"):
					t.Errorf("no new one: %+v", last)
				}
				if last.priority != "urgent" {
					t.Errorf("priority %s", last.priority)
				}
				comments, n := len(last.comments), len(r.tickets)
				if again := sinktest.Deliver(t, r.sink, c.a, ref, sinks.VerdictDelivered); again != newRef || len(r.tickets) != n || len(last.comments) != comments { // a copy
					t.Errorf("ref %s, again %s", newRef, again)
				}
				sinktest.Deliver(t, r.sink, story[4], newRef, sinks.VerdictDelivered)
				if last := r.tickets[len(r.tickets)-1]; last.status != "solved" {
					t.Errorf("status %s in the end", last.status)
				}
			})
		}
	}
}

// A sink that moves to another help desk under one name begins anew there: no ticket of
// it is missing, and its tickets with the old numbers belong to others. The tickets are
// told apart by the help desk after a further move, too.
func TestMoved(t *testing.T) {
	for _, strangers := range []bool{false, true} {
		story := sinktest.Story("bob")
		old, moved := newRig(t, nil), newRig(t, nil)
		ref := sinktest.Deliver(t, old.sink, story[0], "", sinks.VerdictDelivered)
		if strangers {
			sinktest.Deliver(t, moved.sink, sinktest.Story("carol")[0], "", sinks.VerdictDelivered)
		}
		before := len(moved.tickets)
		ref = sinktest.Deliver(t, moved.sink, story[1], ref, sinks.VerdictDelivered)
		if len(moved.tickets) != before+1 {
			t.Fatalf("%d tickets, then %d", before, len(moved.tickets))
		}
		sinktest.Deliver(t, moved.sink, story[4], ref, sinks.VerdictDelivered)
		if strangers && (moved.tickets[0].status == "solved" || len(moved.tickets[0].comments) != 1) {
			t.Errorf("the ticket of another user: %+v", moved.tickets[0])
		}
		if last := moved.tickets[before]; last.status != "solved" {
			t.Errorf("status %s in the end", last.status)
		}
		if moved.sink.Receipt(ref) != fmt.Sprintf("ticket %d", before+1) {
			t.Error(moved.sink.Receipt(ref))
		}
	}
}

// A ticket may be closed or deleted between the look and the change: the next
// attempt sees it.
func TestRace(t *testing.T) {
	story := sinktest.Story("bob")
	for _, step := range []int{1, 4} {
		for _, how := range []string{"closed", "deleted"} {
			r := newRig(t, nil)
			ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
			r.before = func(z *server, method string, _ int) {
				if method == http.MethodPut {
					z.tickets[0].status, z.tickets[0].deleted = how, how == "deleted"
				}
			}
			sinktest.Deliver(t, r.sink, story[step], ref, sinks.VerdictRetry)
			sinktest.Deliver(t, r.sink, story[step], ref, sinks.VerdictClosedByPerson)
		}
	}
}

// A ticket whose external_id a person changed is known by its number.
func TestKnownByNumber(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	r.tickets[0].external = "CHG-1"
	if again := sinktest.Deliver(t, r.sink, story[1], ref, sinks.VerdictDelivered); again != ref || len(r.tickets) != 1 || len(r.tickets[0].comments) != 2 {
		t.Errorf("ref %s, then %s; %d tickets", ref, again, len(r.tickets))
	}
}

// Comments without end do not keep what follows from the ticket.
func TestCommentsWithoutEnd(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	r.tickets[0].comments = append(r.tickets[0].comments, strings.Repeat("x", 5<<20))
	ref = sinktest.Deliver(t, r.sink, story[3], ref, sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	if got := r.tickets[0]; len(r.tickets) != 1 || len(got.comments) != 4 || got.status != "solved" {
		t.Errorf("%d tickets, %d comments, %s", len(r.tickets), len(got.comments), got.status)
	}
}

func TestUnheard(t *testing.T) {
	r := newRig(t, nil)
	end := sinktest.Story("bob")[4]
	end.Reasons = []string{exposure.ReasonExploited}
	ref := sinktest.Deliver(t, r.sink, end, "", sinks.VerdictDelivered)
	if i := r.tickets[0]; i.status != "new" || i.priority != "urgent" || r.sink.Receipt(ref) != "ticket 1" {
		t.Errorf("%s: %+v", ref, i)
	}
	sinktest.Deliver(t, r.sink, end, "", sinks.VerdictDelivered)
	if len(r.tickets) != 1 {
		t.Errorf("%d tickets", len(r.tickets))
	}
}

func TestDuplicates(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	other := *r.tickets[0]
	other.id, other.comments = 2, []string{"a copy"}
	r.tickets = append(r.tickets, &other)
	ref = sinktest.Deliver(t, r.sink, story[1], ref, sinks.VerdictDelivered)
	if ticket.WithoutSite(ref) != "1" || len(other.comments) != 1 || !strings.Contains(r.tickets[0].comments[1], "#2 can be closed") || !strings.Contains(r.log.String(), "#2") {
		t.Errorf("%s, %q, %q", ref, r.tickets[0].comments, r.log.String())
	}
}

// The configuration sets the fields that the help desk requires of each ticket;
// its rules for a solved one keep no other from being made.
func TestRefused(t *testing.T) {
	r := newRig(t, func(c *Config) { c.GroupID = 1 })
	story := sinktest.Story("bob")
	sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictMisconfigured, "Group: is invalid", "check group_id")
	r.required = map[int]string{77: "Cause"}
	with := r.make(t, nil)
	ref := sinktest.Deliver(t, with, story[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, with, story[4], ref, sinks.VerdictPermanent, "Cause: is required when solving a ticket", "under fields", "then retry the dead letter")
	if r.tickets[0].status != "new" || len(r.tickets[0].comments) != 1 {
		t.Errorf("%+v", r.tickets[0])
	}
	routed, err := r.make(t, func(c *Config) { c.Fields = map[string]string{"77": "mfa"} }).To([]string{fmt.Sprint(group), otherAgent})
	if err != nil {
		t.Fatal(err)
	}
	end := sinktest.Story("eve")
	ref = sinktest.Deliver(t, routed, end[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, routed, end[4], ref, sinks.VerdictDelivered)
	if last := r.tickets[1]; last.status != "solved" || last.group != group || !strings.HasPrefix(last.assigned, otherAgent) || last.fields[77] != "mfa" {
		t.Errorf("%+v", last)
	}

	for body, want := range map[string]sinks.Verdict{
		`{"error":"RecordInvalid","details":{"subject":[{"description":"Subject: is too long"}]}}`: sinks.VerdictPermanent,
		`{"error":"RecordInvalid","details":{"brand":[{"description":"Brand: is invalid"}]}}`:      sinks.VerdictMisconfigured,
		`{"error":"RecordInvalid","details":"no"}`:                                                 sinks.VerdictPermanent,
	} {
		got := httpsend.Reply{Status: 422, Body: []byte(body)}
		if v, _ := sinks.VerdictOf(verdict(opCreate, got, httpsend.StatusError(422, nil, time.Time{}))); v != want {
			t.Errorf("%s: %s, want %s", body, v, want)
		}
	}
}

// A ticket can be solved before an agent has taken it.
func TestSolvedByItself(t *testing.T) {
	r := newRig(t, nil)
	story := sinktest.Story("bob")
	ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, story[4], ref, sinks.VerdictDelivered)
	if got := r.tickets[0]; got.status != "solved" || got.assigned != "900" {
		t.Errorf("%+v", got)
	}
}

func TestPriority(t *testing.T) {
	for severity, want := range map[exposure.Severity]string{"critical": "urgent", "high": "high", "medium": "normal", "low": "low", "info": "low"} {
		r := newRig(t, nil)
		a := sinktest.Story("bob")[0]
		a.Severity = severity
		ref := sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered)
		if got := r.tickets[0]; got.priority != want || len(got.tags) != 1 || got.tags[0] != "mfawatch" {
			t.Errorf("%s: %+v, want %s", severity, got, want)
		}
		note := sinktest.Story("bob")[3]
		note.Severity = exposure.Low
		ref = sinktest.Deliver(t, r.sink, note, ref, sinks.VerdictDelivered)
		if r.tickets[0].priority != want {
			t.Errorf("%s: %s after a note, want %s", severity, r.tickets[0].priority, want)
		}
		escalation := sinktest.Story("bob")[1]
		sinktest.Deliver(t, r.sink, escalation, ref, sinks.VerdictDelivered)
		if r.tickets[0].priority != "urgent" {
			t.Errorf("%s: %s after an escalation", severity, r.tickets[0].priority)
		}
	}
}

// The subject and the priority follow the present state.
func TestSubjectFollows(t *testing.T) {
	r := newRig(t, nil)
	ref := ""
	for i, want := range []struct{ subject, priority string }{{"HIGH: MFA removed", "high"}, {"CRITICAL: bob in 000000000000 signed in", "urgent"}, {"CRITICAL: bob in 000000000000 has a device again", "urgent"}, {"RESOLVED: ", "urgent"}} {
		ref = sinktest.Deliver(t, r.sink, sinktest.SuspectStory("bob")[i], ref, sinks.VerdictDelivered)
		if got := r.tickets[0]; !strings.HasPrefix(got.subject, want.subject) || got.priority != want.priority {
			t.Errorf("%q, priority %s; want %q, %s", got.subject, got.priority, want.subject, want.priority)
		}
	}
}
