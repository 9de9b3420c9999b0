package sinks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A conformant describes a channel to the suite that every sink runs. Each has
// one test, TestXConforms, that calls conforms with it.
type conformant struct {
	// people: it tells people. What it shows them is clean and marked where it
	// was cut.
	people bool
	// cases: it keeps open cases and knows nothing else, so that an end whose
	// beginning it was never told leaves nothing there. Any other channel says
	// both in one note.
	cases bool
	// copies says why a step may be there twice when its reply was lost; "" for
	// a channel with a key of its own, or that looks before it sends again.
	copies string
	// verdicts are the answers that mean something else here than judgeStatus
	// says, by their status. http says that the channel is reached by HTTP at
	// all, and so has statuses.
	http     bool
	verdicts map[int]verdict
	throttle time.Duration // how long a 429 without Retry-After is waited for; 0: as a retry
	// start starts a server of its own for the channel, over TCP where there is
	// a server, which keeps state and refuses what breaks a documented rule or
	// limit, as the real one does.
	start func(t *testing.T) *conformServer
}

// A conformServer is a channel's server, as the suite sees it.
type conformServer struct {
	// sink makes a new sink on the server, as a start of the program does.
	sink func() (Sink, error)
	// holds is what the server has of the alert's exposure (or, if it has none,
	// of the alert).
	holds func(a *processor.Alert) held
	// inject makes the server answer a request so, once. It reports whether it
	// can. Requests before the injection are not affected; several are used up
	// in order.
	inject func(f fault) bool
	// bodies are those of all requests so far.
	bodies func() []string
	// secrets are parts of the configuration that nobody may see.
	secrets []string
	// wrong is what is wrong with a text that people see there: mark-up that
	// works, a mention. nil: nothing could be.
	wrong func(text string) string
}

// held is what a server has of an exposure, in words that fit all channels.
type held struct {
	cases int      // that were begun: incidents, tickets, threads; messages or records that begin one
	state string   // of the last case: open, escalated or resolved; "" where there is none
	notes int      // all that was said of it: beginnings, changes, notes, ends
	texts []string // what a person reads there, each as it arrived
}

// A fault is how a request ends that does not end well.
type fault struct {
	status int           // it is answered so, and not processed
	header http.Header   // of that answer
	body   string        // of that answer
	after  bool          // it is processed, and then the answer is lost: the connection is reset
	reset  bool          // the connection is reset, and it is not processed
	cut    bool          // it is processed, and the answer ends in its middle
	hang   chan struct{} // it is not processed; closed when it arrives, and answered never
}

// conforms runs the suite.
func conforms(t *testing.T, c conformant) {
	t.Run("life", c.life)
	t.Run("redelivery", c.redelivery)
	t.Run("restart", c.restart)
	t.Run("lost reply", c.lostReply)
	t.Run("end alone", c.endAlone)
	t.Run("attempt", c.attempt)
	t.Run("verdicts", c.statuses)
	t.Run("hostile", c.hostile)
	t.Run("cancel", c.cancel)
	t.Run("same bytes", c.sameBytes)
	t.Run("dispatched", c.dispatched)
}

// conformStory is the life of an exposure: opened, escalated, exploited,
// updated, resolved.
func conformStory(name string) []*processor.Alert {
	x := fmt.Sprintf("%032x", []byte(name))
	x, user := x[len(x)-32:], name
	at := time.Date(2026, 5, 1, 8, 3, 11, 0, time.UTC)
	step := func(n int, s exposure.Step, v exposure.Severity, title, summary, advice string) *processor.Alert {
		a := SampleAlert()
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

func (s *conformServer) open(t *testing.T) Sink {
	t.Helper()
	sink, err := s.sink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conformClose(sink) })
	return sink
}

func conformClose(s Sink) {
	if c, ok := s.(interface{ Close() error }); ok {
		_ = c.Close()
	}
}

// told sends, and wants it told.
func (s *conformServer) told(ctx context.Context, t *testing.T, sink Sink, a *processor.Alert, ref string) string {
	t.Helper()
	newRef, err := sink.Send(ctx, a, ref)
	if err != nil {
		t.Fatalf("%s: %v", a.Step, err)
	}
	return newRef
}

// is compares what the server holds, but for the number of notes where that is
// not given.
func (s *conformServer) is(t *testing.T, a *processor.Alert, cases int, state string, notes int) {
	t.Helper()
	got := s.holds(a)
	if got.cases != cases || got.state != state || notes >= 0 && got.notes != notes {
		t.Errorf("after %s there are %d cases, the last %s, with %d notes; want %d, %s, %d", a.Step, got.cases, got.state, got.notes, cases, state, notes)
	}
}

func (s *conformServer) hushed(t *testing.T, text string) {
	t.Helper()
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

// conformStates is what the server thinks after each step of the story.
var conformStates = []string{"open", "escalated", "escalated", "escalated", "resolved"}

func (c conformant) life(t *testing.T) {
	s := c.start(t)
	sink, ref := s.open(t), ""
	other := conformStory("other")
	otherRef := s.told(t.Context(), t, sink, other[0], "")
	for i, a := range conformStory("bob") {
		ref = s.told(t.Context(), t, sink, a, ref)
		s.is(t, a, 1, conformStates[i], i+1)
	}
	s.is(t, other[0], 1, "open", 1)
	s.told(t.Context(), t, sink, other[4], otherRef)
	s.is(t, other[4], 1, "resolved", 2)
}

// A step that is sent again, since nobody knows that it arrived, begins nothing
// new and leaves the state as it is.
func (c conformant) redelivery(t *testing.T) {
	s := c.start(t)
	sink, ref := s.open(t), ""
	for i, a := range conformStory("bob") {
		newRef := s.told(t.Context(), t, sink, a, ref)
		again := s.told(perhaps(t.Context()), t, sink, a, ref)
		cases := 1
		if c.copies != "" {
			cases = s.holds(a).cases // as many as there are copies of the beginning
			if most := 2; cases > most {
				t.Errorf("%d cases, want at most %d", cases, most)
			}
		}
		s.is(t, a, cases, conformStates[i], -1)
		if c.copies == "" && again != newRef {
			t.Errorf("%s: ref %q, again %q", a.Step, newRef, again)
		}
		ref = again
	}
}

// A sink keeps nothing that it needs: a new one goes on with the ref alone.
func (c conformant) restart(t *testing.T) {
	s := c.start(t)
	ref := ""
	for i, a := range conformStory("bob") {
		sink, err := s.sink()
		if err != nil {
			t.Fatal(err)
		}
		ref = s.told(t.Context(), t, sink, a, ref)
		conformClose(sink)
		s.is(t, a, 1, conformStates[i], i+1)
	}
}

// An answer that is lost once the step was processed is Ambiguous, and the step
// is there once in the end, or twice where the channel cannot tell.
func (c conformant) lostReply(t *testing.T) {
	for _, f := range []struct {
		name string
		fault
	}{{"reset", fault{after: true}}, {"cut", fault{cut: true}}} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new sink %t", f.name, fresh), func(t *testing.T) {
				s := c.start(t)
				sink, ref := s.open(t), ""
				for i, a := range conformStory("bob") {
					if !s.inject(f.fault) {
						t.Skip("this channel has no reply that could be lost so")
					}
					newRef, err := sink.Send(t.Context(), a, ref)
					switch v, _ := judge(err); {
					case v == told && c.copies == "": // net/http sends again by itself what has an Idempotency-Key
						ref = newRef
					case v != ambiguous:
						t.Fatalf("%s: %s (%v), want ambiguous", a.Step, v, err)
					default:
						s.hushed(t, err.Error())
					}
					if fresh {
						sink = s.open(t)
					}
					ref = s.told(perhaps(t.Context()), t, sink, a, ref)
					if c.copies == "" {
						s.is(t, a, 1, conformStates[i], -1)
					} else if got := s.holds(a); got.state != conformStates[i] || got.cases > 2 || got.notes > 2*(i+1) {
						t.Errorf("after %s: %+v", a.Step, got)
					}
				}
			})
		}
	}
}

// An end whose beginning was never told is one note that says both, or nothing.
func (c conformant) endAlone(t *testing.T) {
	s := c.start(t)
	a := conformStory("bob")[4]
	s.told(t.Context(), t, s.open(t), a, "")
	if c.cases {
		s.is(t, a, 0, "", -1)
		return
	}
	s.is(t, a, 1, "resolved", 1)
	if c.people && len(s.holds(a).texts) == 0 {
		t.Error("people read nothing of it")
	}
}

// An attempt belongs to no exposure and has no end.
func (c conformant) attempt(t *testing.T) {
	s := c.start(t)
	a := conformStory("bob")[0]
	a.Exposure, a.Step, a.Severity, a.OpenedAt = nil, exposure.Attempted, exposure.Medium, nil
	a.Title, a.User = "mallory tried to remove MFA in 000000000000", nil
	a.Attempts = &exposure.AlertAttempts{Count: 3, ErrorCodes: []string{"AccessDenied"}}
	s.told(t.Context(), t, s.open(t), a, "")
	s.is(t, a, 1, "open", 1)
}

// Every status has its verdict, whatever stands in the answer, and no answer
// makes a secret seen.
func (c conformant) statuses(t *testing.T) {
	if !c.http {
		t.Skip("the channel has no HTTP statuses")
	}
	s := c.start(t)
	repeats := strings.Join(s.secrets, " ")
	check := func(what string, f fault, want verdict, wait time.Duration) {
		t.Helper()
		if !s.inject(f) {
			t.Fatalf("%s: cannot be injected", what)
		}
		_, err := s.open(t).Send(t.Context(), conformStory("bob")[0], "")
		v, after := judge(err)
		if v != want || after != wait {
			t.Errorf("%s: %s after %s, want %s after %s: %v", what, v, after, want, wait, err)
		}
		if err != nil {
			s.hushed(t, err.Error())
		}
	}
	for _, status := range []int{301, 302, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 413, 415, 418, 422, 425, 429, 451, 500, 501, 502, 503, 504, 507, 529} {
		want, _ := judge(judgeStatus(status, http.Header{}, time.Now()))
		if v, ok := c.verdicts[status]; ok {
			want = v
		}
		wait := time.Duration(0)
		if want == throttled {
			wait = c.throttle
		}
		for _, body := range []string{"", repeats, `{"error":"` + repeats + `"}`, "<html><body>Sign in</body></html>"} {
			check(fmt.Sprintf("%d %.20q", status, body), fault{status: status, body: body}, want, wait)
		}
	}
	for value, wait := range map[string]time.Duration{
		"7": 7 * time.Second, "86400": time.Hour, "0": c.throttle, "-5": c.throttle, "soon": c.throttle, "": c.throttle,
	} {
		check("429 with Retry-After "+value, fault{status: 429, header: http.Header{"Retry-After": {value}}}, throttled, wait)
	}
	check("reset", fault{reset: true}, ambiguous, 0)
	s.is(t, conformStory("bob")[0], 0, "", 0)
}

// Whatever the attacker is called, in every field, the channel takes it, and
// people see text that is clean, and marked where it was cut.
func (c conformant) hostile(t *testing.T) {
	s := c.start(t)
	sink := s.open(t)
	for i, text := range hostileTexts {
		ref := ""
		story := conformStory(fmt.Sprint("bob", i))
		for _, a := range []*processor.Alert{story[0], story[2], story[4]} {
			conformSpoil(a, text)
			newRef, err := sink.Send(t.Context(), a, ref)
			if err != nil {
				t.Fatalf("%.40q, %s: %v", text, a.Step, err)
			}
			ref = newRef
		}
		got := s.holds(story[4])
		if got.state != "resolved" {
			t.Errorf("%.40q: state %s", text, got.state)
		}
		if !c.people {
			continue
		}
		if len(got.texts) == 0 {
			t.Errorf("%.40q: people read nothing", text)
		}
		marked := false
		for _, shown := range got.texts {
			marked = marked || strings.Contains(shown, "…") || strings.Contains(shown, "...")
			if !utf8.ValidString(shown) || strings.ContainsAny(shown, "\x00\x1b\x07\u202e\u2066\u2028\u2029\u200b\ufeff") {
				t.Errorf("%.40q is shown as %.200q", text, shown)
			}
			if utf8.ValidString(text) && strings.HasPrefix(text, "é€") && strings.Contains(shown, "\ufffd") {
				t.Errorf("%.40q is cut within a character: %.200q", text, shown)
			}
			if s.wrong != nil {
				if problem := s.wrong(shown); problem != "" {
					t.Errorf("%.40q: %s: %.300q", text, problem, shown)
				}
			}
		}
		if len(text) > 10_000 && !marked {
			t.Errorf("%.40q was cut without a mark", text)
		}
	}
}

// conformSpoil fills every field with the text that a record fills.
func conformSpoil(a *processor.Alert, text string) {
	a.Title, a.Summary = "MFA removed from "+text, text+" lost MFA. "+a.Advice
	a.Account, a.User, a.Device.Serial, a.Event.ErrorCode = text, &text, &text, &text
	a.Partition = "aws"
	a.Actor = exposure.AlertActor{Type: text, ARN: text, Name: text, AccessKeyID: text, SourceIP: text, UserAgent: text}
	a.Event.ID, a.Event.Name, a.Event.Region, a.Event.Origin = text, text, text, text
	a.Record = nil
}

// A send whose context ends returns, and the alert may be sent again.
func (c conformant) cancel(t *testing.T) {
	s := c.start(t)
	sink := s.open(t)
	arrived := make(chan struct{})
	if !s.inject(fault{hang: arrived}) {
		t.Skip("the channel cannot hang")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	a := conformStory("bob")[0]
	go func() {
		_, err := sink.Send(ctx, a, "")
		ended <- err
	}()
	<-arrived
	cancel()
	select {
	case err := <-ended:
		if v, _ := judge(err); v != retry && v != ambiguous {
			t.Errorf("%s: %v", v, err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not return")
	}
	s.told(t.Context(), t, sink, a, "")
	s.is(t, a, 1, "open", 1)
}

// What is sent is made of the alert and the configuration alone: no clock.
func (c conformant) sameBytes(t *testing.T) {
	s := c.start(t)
	if !s.inject(fault{status: http.StatusServiceUnavailable}) {
		t.Skip("the channel cannot refuse so")
	}
	a := conformStory("bob")[0]
	if _, err := s.open(t).Send(t.Context(), a, ""); err == nil {
		t.Fatal("told")
	}
	before := len(s.bodies())
	s.told(t.Context(), t, s.open(t), a, "")
	if bodies := s.bodies(); bodies[0] != bodies[before] {
		t.Errorf("sent first\n%s\nand then\n%s", bodies[0], bodies[before])
	}
}

// Through the dispatcher and the journal, over restarts and faults, the channel
// ends up knowing the whole story.
func (c conformant) dispatched(t *testing.T) {
	s := c.start(t)
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	story := conformStory("bob")
	var log strings.Builder
	run := func(f *fault, alerts ...*processor.Alert) {
		t.Helper()
		j := openJournal(t, path)
		sink := s.open(t)
		d, err := NewDispatcher(j, map[string]Sink{"a": sink}, Options{
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
			Delivery: map[string]DeliveryConfig{"a": {People: c.people, Retry: RetryConfig{Min: time.Millisecond, Max: 2 * time.Millisecond}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if f != nil {
			s.inject(*f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		conformTell(t, j, alerts...)
		if err := d.Idle(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if letters, err := j.DeadLetters("a"); err != nil || len(letters) > 0 {
			t.Errorf("dead letters %v, %v", letters, err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	run(&fault{status: http.StatusServiceUnavailable}, story[0])
	s.is(t, story[0], 1, "open", 1)
	run(nil, story[1])
	s.is(t, story[1], 1, "escalated", 2)
	run(&fault{after: true}, story[2])
	run(nil, story[3:]...)
	notes := -1
	if c.copies != "" {
		notes = s.holds(story[4]).notes
		if notes > 6 {
			t.Errorf("%d notes", notes)
		}
	}
	got := s.holds(story[4])
	s.is(t, story[4], got.cases, "resolved", notes)
	if got.cases > 1 && c.copies == "" {
		t.Errorf("%d cases", got.cases)
	}
	s.hushed(t, log.String())
}
