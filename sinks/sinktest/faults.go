package sinktest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// Every status has its verdict, whatever stands in the answer, and no answer
// makes a secret seen.
func (c Channel) statuses(t *testing.T) {
	if !c.HTTP {
		t.Skip("the channel has no HTTP statuses")
	}
	s := c.Start(t)
	repeats := strings.Join(s.Secrets, " ")
	check := func(what string, f Fault, want sinks.Verdict, wait time.Duration) {
		t.Helper()
		if !s.Inject(f) {
			t.Fatalf("%s: cannot be injected", what)
		}
		_, err := s.open(t).Send(t.Context(), Story("bob")[0], "")
		v, after := sinks.VerdictOf(err)
		if v != want || after != wait {
			t.Errorf("%s: %s after %s, want %s after %s: %v", what, v, after, want, wait, err)
		}
		if err != nil {
			s.hushed(t, err.Error())
		}
	}
	for _, status := range []int{301, 302, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 413, 415, 418, 422, 425, 429, 451, 500, 501, 502, 503, 504, 507, 529} {
		want, _ := sinks.VerdictOf(httpsend.StatusError(status, http.Header{}, time.Now()))
		if v, ok := c.Verdicts[status]; ok {
			want = v
		}
		wait := time.Duration(0)
		if want == sinks.VerdictThrottled {
			wait = c.Throttle
		}
		for _, body := range []string{"", repeats, `{"error":"` + repeats + `"}`, "<html><body>Sign in</body></html>"} {
			check(fmt.Sprintf("%d %.20q", status, body), Fault{Status: status, Body: body}, want, wait)
		}
	}
	if want, ok := c.Verdicts[200]; ok {
		check("200 with a page", Fault{Status: 200, Body: "\n<!DOCTYPE html><title>Sign in</title>"}, want, 0)
	}
	for value, wait := range map[string]time.Duration{
		"7": 7 * time.Second, "86400": time.Hour, "99999999999999999999": time.Hour, "1e9": c.Throttle, "0": c.Throttle, "-5": c.Throttle, "soon": c.Throttle, "": c.Throttle,
	} {
		check("429 with Retry-After "+value, Fault{Status: 429, Header: http.Header{"Retry-After": {value}}}, sinks.VerdictThrottled, wait)
	}
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	s.Inject(Fault{Status: 429, Header: http.Header{"Retry-After": {date}}})
	_, err := s.open(t).Send(t.Context(), Story("bob")[0], "")
	if v, after := sinks.VerdictOf(err); v != sinks.VerdictThrottled || after < 80*time.Second || after > 91*time.Second {
		t.Errorf("429 with a date: %s after %s: %v", v, after, err)
	}
	s.is(t, Story("bob")[0], 0, "", 0)
	if !s.Inject(Fault{Reset: true}) {
		t.Fatal("reset: cannot be injected")
	}
	_, err = s.open(t).Send(t.Context(), Story("bob")[0], "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictAmbiguous && (v != sinks.VerdictDelivered || c.Copies != "") { // net/http sends again by itself what has an Idempotency-Key
		t.Errorf("reset: %s, want ambiguous: %v", v, err)
	}
}

// An answer in the channel's own words has its verdict and names the next step. It
// shows no secret, takes no reference away, and reads the same the next time.
func (c Channel) refusals(t *testing.T) {
	for _, r := range c.Refusals {
		s := c.Start(t)
		sink, said := s.open(t), ""
		for range 2 {
			s.Inject(r.Fault)
			ref, err := sink.Send(t.Context(), Story("bob")[0], "open")
			v, after := sinks.VerdictOf(err)
			if v != r.Want || after != r.After || err == nil || ref != "open" && ref != "" {
				t.Fatalf("%d %.60s: %s after %s, ref %q, want %s after %s: %v", r.Status, r.Body, v, after, ref, r.Want, r.After, err)
			}
			if !strings.Contains(err.Error(), r.Says) || len(err.Error()) > 1000 || said != "" && said != err.Error() {
				t.Errorf("%d %.60s: want %q, and the same each time: %v", r.Status, r.Body, r.Says, err)
			}
			said = err.Error()
			s.hushed(t, said)
			Hushed(t, said)
		}
	}
}

// A secret that changes under its name is used immediately. One that is wrong, empty
// or gone for a while costs no alert, and is not shown.
func (c Channel) secretFile(t *testing.T) {
	s := c.Start(t)
	if s.FromFile == nil {
		t.Skip("the channel reads no secret from a file")
	}
	path := SecretFile(t, s.Secrets[0]+"\n")
	sink, err := s.FromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeSink(sink)
	for i, text := range []string{s.Secrets[0], "xyzzy-broken", s.Secrets[0] + "\n", "", s.Secrets[0] + "\r\n", "gone"} {
		err := os.WriteFile(path, []byte(text), 0o600)
		if text == "gone" {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := sinks.VerdictMisconfigured
		if strings.HasPrefix(text, s.Secrets[0]) {
			want = sinks.VerdictDelivered
		}
		_, err = sink.Send(t.Context(), Story(fmt.Sprint("bob", i))[0], "")
		if v, _ := sinks.VerdictOf(err); v != want {
			t.Errorf("the secret %q: %s, want %s: %v", text, v, want, err)
		}
		if err != nil {
			Hushed(t, err.Error())
			s.hushed(t, err.Error())
		}
	}
}

// Whatever the attacker is called, in every field, the channel takes it, and
// people see text that is clean, and marked where it was cut.
func (c Channel) hostile(t *testing.T) {
	s := c.Start(t)
	sink := s.open(t)
	marks := "" // of alerts that follow, whose IDs the attacker may know
	for _, a := range Story(fmt.Sprint("bob", len(HostileTexts))) {
		marks += "mfawatch alert " + a.ID + " mfawatch  Alert\t" + a.ID + ", "
	}
	for i, text := range append(slices.Clone(HostileTexts), marks) {
		if !c.People { // who get all of it: a record has 256 KB at most, its texts together
			text = strings.ToValidUTF8(text[:min(len(text), 8000)], "")
		}
		ref := ""
		story := Story(fmt.Sprint("bob", i))
		for _, a := range []*processor.Alert{story[0], story[2], story[4]} {
			Spoil(a, text)
			newRef, err := sink.Send(t.Context(), a, ref)
			if err != nil {
				t.Fatalf("%.40q, %s: %v", text, a.Step, err)
			}
			ref = newRef
		}
		got := s.Holds(story[4])
		if got.State != "resolved" {
			t.Errorf("%.40q: state %s", text, got.State)
		}
		if !c.People {
			continue
		}
		if len(got.Texts) == 0 {
			t.Errorf("%.40q: people read nothing", text)
		}
		marked := false
		for _, shown := range got.Texts {
			marked = marked || strings.Contains(shown, "…") || strings.Contains(shown, "...")
			if !utf8.ValidString(shown) || strings.ContainsAny(shown, "\x00\x1b\x07\u202e\u2066\u2028\u2029\u200b\ufeff") {
				t.Errorf("%.40q is shown as %.200q", text, shown)
			}
			for _, link := range []string{"www.evil", "://evil", "evil-login.co"} { // what clients make a link of
				if strings.Contains(strings.ToLower(shown), link) {
					t.Errorf("%.40q has the link %s: %.300q", text, link, shown)
				}
			}
			if utf8.ValidString(text) && strings.HasPrefix(text, "é€") && strings.Contains(shown, "\ufffd") {
				t.Errorf("%.40q is cut within a character: %.200q", text, shown)
			}
			if s.Wrong != nil {
				if problem := s.Wrong(shown); problem != "" {
					t.Errorf("%.40q: %s: %.300q", text, problem, shown)
				}
			}
		}
		if len(text) > 10_000 && !marked {
			t.Errorf("%.40q was cut without a mark", text)
		}
	}
}

// Spoil fills every field with the text that a record fills.
func Spoil(a *processor.Alert, text string) {
	a.Title, a.Summary = "MFA removed from "+text, text+" lost MFA. "+a.Advice
	a.Account, a.User, a.Device.Serial, a.Event.ErrorCode = text, &text, &text, &text
	a.Partition = "aws"
	a.Actor = exposure.AlertActor{Type: text, ARN: text, Name: text, AccessKeyID: text, SourceIP: text, UserAgent: text}
	a.Event.ID, a.Event.Name, a.Event.Region, a.Event.Origin = text, text, text, text
	a.Record = nil
}

// A send whose context ends returns, and the alert may be sent again.
func (c Channel) cancel(t *testing.T) {
	s := c.Start(t)
	sink := s.open(t)
	arrived := make(chan struct{})
	if !s.Inject(Fault{Hang: arrived}) {
		t.Skip("the channel cannot hang")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	a := Story("bob")[0]
	go func() {
		_, err := sink.Send(ctx, a, "")
		ended <- err
	}()
	<-arrived
	cancel()
	select {
	case err := <-ended:
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictRetry && v != sinks.VerdictAmbiguous {
			t.Errorf("%s: %v", v, err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not return")
	}
	s.deliver(t.Context(), t, sink, a, "")
	s.is(t, a, 1, "open", 1)
}

// Payloads depend only on the alert and the configuration: no clock.
func (c Channel) sameBytes(t *testing.T) {
	s := c.Start(t)
	if !s.Inject(Fault{Status: http.StatusServiceUnavailable}) {
		t.Skip("the channel cannot refuse so")
	}
	a := Story("bob")[0]
	if _, err := s.open(t).Send(t.Context(), a, ""); err == nil {
		t.Fatal("delivered")
	}
	before := len(s.Bodies())
	s.deliver(t.Context(), t, s.open(t), a, "")
	bodies := s.Bodies()
	if bodies == nil {
		t.Skip("the channel does not show what it refused")
	}
	if bodies[0] != bodies[before] {
		t.Errorf("sent first\n%s\nand then\n%s", bodies[0], bodies[before])
	}
}

// Through the dispatcher and the journal, over restarts and faults, the channel
// ends up knowing the whole story.
func (c Channel) dispatched(t *testing.T) {
	s := c.Start(t)
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	story := Story("bob")
	var log strings.Builder
	run := func(f *Fault, alerts ...*processor.Alert) {
		t.Helper()
		r := NewRig(t, path, s.open(t), dispatch.DeliveryConfig{People: c.People, Retry: dispatch.RetryConfig{Min: time.Millisecond, Max: 2 * time.Millisecond}})
		if f != nil {
			s.Inject(*f)
		}
		Journal(t, r.Journal, alerts...)
		r.Idle()
		if letters, err := r.Journal.DeadLetters("a"); err != nil || len(letters) > 0 {
			t.Errorf("dead letters %v, %v", letters, err)
		}
		r.Stop()
		log.WriteString(r.Log.String())
	}
	run(&Fault{Status: http.StatusServiceUnavailable}, story[0])
	s.is(t, story[0], 1, "open", 1)
	run(nil, story[1])
	s.is(t, story[1], 1, "escalated", 2)
	run(&Fault{After: true}, story[2])
	run(nil, story[3:]...)
	notes := -1
	if c.Copies != "" {
		notes = s.Holds(story[4]).Notes
		if notes > 6 {
			t.Errorf("%d notes", notes)
		}
	}
	got := s.Holds(story[4])
	s.is(t, story[4], got.Cases, "resolved", notes)
	if got.Cases > 1 && c.Copies == "" {
		t.Errorf("%d cases", got.Cases)
	}
	s.hushed(t, log.String())
}
