package sinks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

func TestZendeskEndedBySomebody(t *testing.T) {
	story := conformStory("bob")
	for _, status := range []string{"solved", "closed", "deleted"} {
		for _, c := range []struct {
			a    *processor.Alert
			want verdict
		}{{story[1], superseded}, {story[2], told}, {story[3], told}, {story[4], superseded}} {
			t.Run(status+" "+string(c.a.Step), func(t *testing.T) {
				r := newZdRig(t, nil)
				ref := ticketTell(t, r.sink, story[0], "", told)
				r.tickets[0].status, r.tickets[0].deleted = status, status == "deleted"
				newRef := ticketTell(t, r.sink, c.a, ref, c.want)
				if c.want == superseded {
					return
				}
				last := r.tickets[len(r.tickets)-1]
				switch {
				case status == "solved" && (len(r.tickets) != 1 || last.status != "open" || len(last.comments) != 2):
					t.Errorf("not reopened: %+v", last)
				case status == "closed" && (len(r.tickets) != 2 || last.follows != 1 || newRef != "2"):
					t.Errorf("no follow-up: %+v", last)
				case status == "deleted" && (len(r.tickets) != 2 || newRef != "2"):
					t.Errorf("no new one: %+v", last)
				}
				if last.priority != "urgent" {
					t.Errorf("priority %s", last.priority)
				}
				comments, n := len(last.comments), len(r.tickets)
				if again := ticketTell(t, r.sink, c.a, ref, told); again != newRef || len(r.tickets) != n || len(last.comments) != comments { // a copy
					t.Errorf("ref %s, again %s", newRef, again)
				}
				ticketTell(t, r.sink, story[4], newRef, told)
				if last := r.tickets[len(r.tickets)-1]; last.status != "solved" {
					t.Errorf("status %s in the end", last.status)
				}
			})
		}
	}
}

func TestZendeskRace(t *testing.T) {
	story := conformStory("bob")
	for _, step := range []int{1, 4} {
		for _, how := range []string{"closed", "deleted"} {
			r := newZdRig(t, nil)
			ref := ticketTell(t, r.sink, story[0], "", told)
			r.before = func(z *zdServer, method string, _ int) {
				if method == http.MethodPut {
					z.tickets[0].status, z.tickets[0].deleted = how, how == "deleted"
				}
			}
			ticketTell(t, r.sink, story[step], ref, retry)
			ticketTell(t, r.sink, story[step], ref, superseded)
		}
	}
}

func TestZendeskKnownByNumber(t *testing.T) {
	r := newZdRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	r.tickets[0].external = "CHG-1"
	if again := ticketTell(t, r.sink, story[1], ref, told); again != ref || len(r.tickets) != 1 || len(r.tickets[0].comments) != 2 {
		t.Errorf("ref %s, then %s; %d tickets", ref, again, len(r.tickets))
	}
}

func TestZendeskUnheard(t *testing.T) {
	r := newZdRig(t, nil)
	end := conformStory("bob")[4]
	end.Reasons = []string{exposure.ReasonExploited}
	ref := ticketTell(t, r.sink, end, "", told)
	if i := r.tickets[0]; i.status != "new" || i.priority != "urgent" || r.sink.Receipt(ref) != "ticket 1" {
		t.Errorf("%s: %+v", ref, i)
	}
	ticketTell(t, r.sink, end, "", told)
	if len(r.tickets) != 1 {
		t.Errorf("%d tickets", len(r.tickets))
	}
}

func TestZendeskDuplicates(t *testing.T) {
	r := newZdRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	other := *r.tickets[0]
	other.id, other.comments = 2, []string{"a copy"}
	r.tickets = append(r.tickets, &other)
	ref = ticketTell(t, r.sink, story[1], ref, told)
	if ref != "1" || len(other.comments) != 1 || !strings.Contains(r.tickets[0].comments[1], "#2 can be closed") || !strings.Contains(r.log.String(), "#2") {
		t.Errorf("%s, %q, %q", ref, r.tickets[0].comments, r.log.String())
	}
}

func TestZendeskRefused(t *testing.T) {
	r := newZdRig(t, func(c *ZendeskConfig) { c.GroupID = 1 })
	story := conformStory("bob")
	ticketTell(t, r.sink, story[0], "", misconfigured, "Group: is invalid", "check group_id")
	r.required = map[int]string{77: "Cause"}
	with := r.make(t, nil)
	ref := ticketTell(t, with, story[0], "", told)
	ticketTell(t, with, story[4], ref, permanent, "Cause: is required when solving a ticket", "under fields", "then retry the dead letter")
	if r.tickets[0].status != "new" || len(r.tickets[0].comments) != 1 {
		t.Errorf("%+v", r.tickets[0])
	}
	with = r.make(t, func(c *ZendeskConfig) {
		c.Fields, c.GroupID, c.AssigneeEmail = map[string]string{"77": "mfa"}, zdGroup, zdOther
	})
	end := conformStory("eve")
	ref = ticketTell(t, with, end[0], "", told)
	ticketTell(t, with, end[4], ref, told)
	if last := r.tickets[1]; last.status != "solved" || last.group != zdGroup || !strings.HasPrefix(last.assigned, zdOther) || last.fields[77] != "mfa" {
		t.Errorf("%+v", last)
	}

	for body, want := range map[string]verdict{
		`{"error":"RecordInvalid","details":{"subject":[{"description":"Subject: is too long"}]}}`: permanent,
		`{"error":"RecordInvalid","details":{"brand":[{"description":"Brand: is invalid"}]}}`:      misconfigured,
		`{"error":"RecordInvalid","details":"no"}`:                                                 permanent,
	} {
		got := reply{status: 422, body: []byte(body)}
		if v, _ := judge(zdVerdict(zdCreate, got, judgeStatus(422, nil, time.Time{}))); v != want {
			t.Errorf("%s: %s, want %s", body, v, want)
		}
	}
}

func TestZendeskSolvedByItself(t *testing.T) {
	r := newZdRig(t, nil)
	story := conformStory("bob")
	ref := ticketTell(t, r.sink, story[0], "", told)
	ticketTell(t, r.sink, story[4], ref, told)
	if got := r.tickets[0]; got.status != "solved" || got.assigned != "900" {
		t.Errorf("%+v", got)
	}
}

func TestZendeskPriority(t *testing.T) {
	for severity, want := range map[exposure.Severity]string{"critical": "urgent", "high": "high", "medium": "normal", "low": "low", "info": "low"} {
		r := newZdRig(t, nil)
		a := conformStory("bob")[0]
		a.Severity = severity
		ref := ticketTell(t, r.sink, a, "", told)
		if got := r.tickets[0]; got.priority != want || len(got.tags) != 1 || got.tags[0] != "mfawatch" {
			t.Errorf("%s: %+v, want %s", severity, got, want)
		}
		note := conformStory("bob")[3]
		note.Severity = exposure.Low
		ref = ticketTell(t, r.sink, note, ref, told)
		if r.tickets[0].priority != want {
			t.Errorf("%s: %s after a note, want %s", severity, r.tickets[0].priority, want)
		}
		escalation := conformStory("bob")[1]
		ticketTell(t, r.sink, escalation, ref, told)
		if r.tickets[0].priority != "urgent" {
			t.Errorf("%s: %s after an escalation", severity, r.tickets[0].priority)
		}
	}
}
