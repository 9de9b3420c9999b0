package sinktest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Channel describes a channel to the suite that every sink runs. Each has
// one test, TestXConforms, that calls Run with it.
type Channel struct {
	// People: people read it. Text shown to them is clean and marked where it was
	// cut.
	People bool
	// Cases: it keeps open cases and knows nothing else, so that an end whose
	// beginning it was never sent leaves nothing there. Any other channel says
	// both in one note.
	Cases bool
	// Brief: a text has room for little more than what happened.
	Brief bool
	// Copies says why a step may be there twice when its reply was lost; "" for
	// a channel with a key of its own, or that looks before it sends again.
	Copies string
	// Verdicts are the answers that mean something else here than httpsend.StatusError
	// says, by their status. HTTP says that the channel is reached by HTTP at
	// all, and so has statuses. 200 is of a page of HTML: without it, the channel
	// takes that for an acceptance.
	HTTP     bool
	Verdicts map[int]sinks.Verdict
	Throttle time.Duration // how long a 429 without Retry-After is waited for; 0: as a retry
	Refusals []Refusal     // answers in the channel's own words
	// Start starts a server of its own for the channel, over TCP where there is
	// a server, which keeps state and refuses what breaks a documented rule or
	// limit, as the real one does.
	Start func(t *testing.T) *Server
}

// A Server is a channel's server, as the suite sees it.
type Server struct {
	// Sink makes a new sink on the server, as a start of the program does.
	Sink func() (sinks.Sink, error)
	// Holds returns the server's state of the alert's exposure (or, if it has none,
	// of the alert).
	Holds func(a *processor.Alert) Held
	// Inject makes the server answer a request so, once. It reports whether it
	// can. Requests before the injection are not affected; several are used up
	// in order.
	Inject func(f Fault) bool
	// Bodies are those of all requests so far.
	Bodies func() []string
	// Secrets are parts of the configuration that must stay hidden.
	Secrets []string
	// FromFile makes a sink that reads the first of Secrets from a file. nil: it reads
	// none.
	FromFile func(path string) (sinks.Sink, error)
	// Wrong returns the fault of a text that people see there: mark-up that works,
	// a mention. nil: nothing could be.
	Wrong func(text string) string
}

// Held is the state of an exposure on a server, in words that fit all channels.
type Held struct {
	Cases int      // that were begun: incidents, tickets, threads; messages or records that begin one
	State string   // of the last case: open, escalated or resolved; "" where there is none
	Notes int      // all that was said of it: beginnings, changes, notes, ends
	Texts []string // what a person reads there, each as it arrived
}

// A Fault is how a request ends that does not end well.
type Fault struct {
	Status int           // it is answered so, and not processed
	Header http.Header   // of that answer
	Body   string        // of that answer
	After  bool          // it is processed, and then the answer is lost: the connection is reset
	Reset  bool          // the connection is reset, and it is not processed
	Cut    bool          // it is processed, and the answer ends in its middle
	Hang   chan struct{} // it is not processed; closed when it arrives, and answered never
}

// A Refusal is an answer to the first alert of an exposure, and its meaning.
type Refusal struct {
	Fault
	Want  sinks.Verdict
	After time.Duration // of VerdictThrottled
	Says  string        // part of the error: the next step
}

// Run runs the suite.
func Run(t *testing.T, c Channel) {
	t.Run("life", c.life)
	t.Run("redelivery", c.redelivery)
	t.Run("restart", c.restart)
	t.Run("ref of another channel", c.foreignRef)
	t.Run("lost reply", c.lostReply)
	t.Run("end alone", c.endAlone)
	t.Run("attempt", c.attempt)
	t.Run("suspect", c.suspect)
	t.Run("folded", c.folded)
	t.Run("folded and grouped", c.foldedAndGrouped)
	t.Run("verdicts", c.statuses)
	t.Run("refusals", c.refusals)
	t.Run("secret file", c.secretFile)
	t.Run("hostile", c.hostile)
	t.Run("cancel", c.cancel)
	t.Run("same bytes", c.sameBytes)
	t.Run("dispatched", c.dispatched)
}

// Story is the life of an exposure: opened, escalated, exploited,
// updated, resolved.
func Story(name string) []*processor.Alert {
	x := fmt.Sprintf("%032x", []byte(name))
	x, user := x[len(x)-32:], name
	at := time.Date(2026, 5, 1, 8, 3, 11, 0, time.UTC)
	step := func(n int, s exposure.Step, v exposure.Severity, title, summary, advice string) *processor.Alert {
		a := message.SampleAlert()
		a.Test = false
		a.ID, a.Exposure, a.User = fmt.Sprintf("%s%02d", x[2:], n), &x, &user
		a.Step, a.Severity, a.Title, a.Summary, a.Advice = s, v, title, strings.TrimSpace(summary+" "+advice), advice
		a.OpenedAt, a.Time = &at, at.Add(time.Duration(n)*15*time.Minute)
		return a
	}
	advice := "Ask " + name + ", and enable a device."
	opened := step(0, exposure.Opened, exposure.High, "MFA removed from "+name+" in 000000000000 by tester", name+" can sign in with a password alone.", advice)
	escalated := step(1, exposure.Escalated, exposure.High, name+" in 000000000000 is without MFA for 15 minutes", "Nobody enabled a device.", advice)
	first := 1
	escalated.Escalation = &first
	exploited := step(2, exposure.Exploited, exposure.Critical, name+" in 000000000000 signed in without MFA", "From 198.51.100.7.", advice)
	updated := step(3, exposure.Updated, exposure.Critical, "access key made for "+name+" in 000000000000", "While there is no MFA.", advice)
	resolved := step(4, exposure.Resolved, exposure.Info, name+" in 000000000000 has MFA again", "After an hour.", "")
	end, how := resolved.Time, exposure.Enabled
	resolved.ResolvedAt, resolved.Resolution = &end, &how
	return []*processor.Alert{opened, escalated, exploited, updated, resolved}
}

func (s *Server) open(t *testing.T) sinks.Sink {
	t.Helper()
	sink, err := s.Sink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSink(sink) })
	return sink
}

func closeSink(s sinks.Sink) {
	if c, ok := s.(interface{ Close() error }); ok {
		_ = c.Close()
	}
}

// deliver sends the alert, and wants no error.
func (s *Server) deliver(ctx context.Context, t *testing.T, sink sinks.Sink, a *processor.Alert, ref string) string {
	t.Helper()
	newRef, err := sink.Send(ctx, a, ref)
	if err != nil {
		t.Fatalf("%s: %v", a.Step, err)
	}
	return newRef
}

// is compares the state of the server, except the number of notes where notes is
// negative.
func (s *Server) is(t *testing.T, a *processor.Alert, cases int, state string, notes int) {
	t.Helper()
	got := s.Holds(a)
	if got.Cases != cases || got.State != state || notes >= 0 && got.Notes != notes {
		t.Errorf("after %s there are %d cases, the last %s, with %d notes; want %d, %s, %d", a.Step, got.Cases, got.State, got.Notes, cases, state, notes)
	}
}

func (s *Server) hushed(t *testing.T, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
}

// states are the server's states after each step of the story.
var states = []string{"open", "escalated", "escalated", "escalated", "resolved"}

func (c Channel) life(t *testing.T) {
	s := c.Start(t)
	sink, ref := s.open(t), ""
	other := Story("other")
	otherRef := s.deliver(t.Context(), t, sink, other[0], "")
	for i, a := range Story("bob") {
		ref = s.deliver(t.Context(), t, sink, a, ref)
		s.is(t, a, 1, states[i], i+1)
	}
	s.is(t, other[0], 1, "open", 1)
	s.deliver(t.Context(), t, sink, other[4], otherRef)
	s.is(t, other[4], 1, "resolved", 2)
}

// A step that is sent again, since it may have arrived, begins nothing
// new and leaves the state as it is.
func (c Channel) redelivery(t *testing.T) {
	s := c.Start(t)
	sink, ref := s.open(t), ""
	for i, a := range Story("bob") {
		newRef := s.deliver(t.Context(), t, sink, a, ref)
		again := s.deliver(sinks.WithPerhapsArrived(t.Context()), t, sink, a, ref)
		cases := 1
		if c.Copies != "" {
			cases = s.Holds(a).Cases // as many as there are copies of the beginning
			if most := 2; cases > most {
				t.Errorf("%d cases, want at most %d", cases, most)
			}
		}
		s.is(t, a, cases, states[i], -1)
		if c.Copies == "" && again != newRef {
			t.Errorf("%s: ref %q, again %q", a.Step, newRef, again)
		}
		ref = again
	}
}

// A sink keeps nothing that it needs: a new one goes on with the ref alone.
func (c Channel) restart(t *testing.T) {
	s := c.Start(t)
	ref := ""
	for i, a := range Story("bob") {
		sink, err := s.Sink()
		if err != nil {
			t.Fatal(err)
		}
		ref = s.deliver(t.Context(), t, sink, a, ref)
		closeSink(sink)
		s.is(t, a, 1, states[i], i+1)
	}
}

// A sink that has another type since the exposure began is handed the ref of the
// former channel, which is as good as none: the step begins the exposure there.
func (c Channel) foreignRef(t *testing.T) {
	for _, ref := range []string{`{"#ops":{"channel":"C1","ts":"1.2","sent":"x"}}`, "open", "message 7"} {
		s := c.Start(t)
		a := Story("bob")[1]
		s.deliver(t.Context(), t, s.open(t), a, ref)
		if got := s.Holds(a); got.Cases != 1 {
			t.Errorf("after the ref %q there are %d cases, want 1", ref, got.Cases)
		}
	}
}

// An answer that is lost once the step was processed is Ambiguous, and the step
// is there once in the end, or twice where the channel cannot know.
func (c Channel) lostReply(t *testing.T) {
	for _, f := range []struct {
		name string
		Fault
	}{{"reset", Fault{After: true}}, {"cut", Fault{Cut: true}}} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new sink %t", f.name, fresh), func(t *testing.T) {
				s := c.Start(t)
				sink, ref := s.open(t), ""
				for i, a := range Story("bob") {
					if !s.Inject(f.Fault) {
						t.Skip("this channel has no reply that could be lost so")
					}
					newRef, err := sink.Send(t.Context(), a, ref)
					switch v, _ := sinks.VerdictOf(err); {
					case v == sinks.VerdictDelivered && c.Copies == "": // net/http sends again by itself what has an Idempotency-Key
						ref = newRef
					case v != sinks.VerdictAmbiguous:
						t.Fatalf("%s: %s (%v), want ambiguous", a.Step, v, err)
					default:
						s.hushed(t, err.Error())
					}
					if fresh {
						sink = s.open(t)
					}
					ref = s.deliver(sinks.WithPerhapsArrived(t.Context()), t, sink, a, ref)
					if c.Copies == "" {
						s.is(t, a, 1, states[i], -1)
					} else if got := s.Holds(a); got.State != states[i] || got.Cases > 2 || got.Notes > 2*(i+1) {
						t.Errorf("after %s: %+v", a.Step, got)
					}
				}
			})
		}
	}
}

// An end whose beginning was never sent is one note that says both, or nothing.
func (c Channel) endAlone(t *testing.T) {
	s := c.Start(t)
	a := Story("bob")[4]
	s.deliver(t.Context(), t, s.open(t), a, "")
	if c.Cases {
		s.is(t, a, 0, "", -1)
		return
	}
	s.is(t, a, 1, "resolved", 1)
	if c.People && len(s.Holds(a).Texts) == 0 {
		t.Error("people read nothing of it")
	}
}

// An attempt belongs to no exposure and has no end.
func (c Channel) attempt(t *testing.T) {
	s := c.Start(t)
	a := Story("bob")[0]
	a.Exposure, a.Step, a.Severity, a.OpenedAt = nil, exposure.Attempted, exposure.Medium, nil
	a.Title, a.User = "mallory tried to remove MFA in 000000000000", nil
	a.Attempts = &exposure.AlertAttempts{Count: 3, ErrorCodes: []string{"AccessDenied"}}
	s.deliver(t.Context(), t, s.open(t), a, "")
	s.is(t, a, 1, "open", 1)
}
