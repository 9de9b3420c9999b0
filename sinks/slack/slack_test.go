package slack

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

const (
	token = "xoxb-xyzzy-bot-token"
	room  = "C0123456789"
)

// conform is Slack for the suite: through an app that may read the channel
// or may not, or through a webhook.
func conform(hooked, history bool) func(t *testing.T) *sinktest.Server {
	return func(t *testing.T) *sinktest.Server {
		fake := &server{token: token, channel: room, name: "security", history: history}
		server := sinktest.NewHTTPServer(t, fake)
		hidden := token
		if hooked {
			hidden = sinktest.HushPath
		}
		fromFile := func(path string) (sinks.Sink, error) {
			return New(Config{APIURL: server.URL + "/api", TokenFile: path, Channel: room}, message.Wording{})
		}
		if hooked {
			fromFile = nil
		}
		return &sinktest.Server{
			FromFile: fromFile,
			Sink: func() (sinks.Sink, error) {
				c := Config{APIURL: server.URL + "/api", Token: token, Channel: room}
				if hooked {
					c = Config{URLFile: sinktest.SecretFile(t, server.URL+sinktest.HushPath+"\n")}
				}
				return New(c, message.Wording{Page: "https://mfawatch.example.net"})
			},
			Holds:   func(a *processor.Alert) sinktest.Held { return fake.holds(a, hooked) },
			Inject:  server.Inject,
			Bodies:  server.Bodies,
			Secrets: []string{hidden},
		}
	}
}

func TestConforms(t *testing.T) {
	verdicts := map[int]sinks.Verdict{200: sinks.VerdictMisconfigured, 404: sinks.VerdictMisconfigured, 405: sinks.VerdictMisconfigured}
	maybe := "Slack knows no key: without the right to read the channel, a message whose answer was lost is sent again"
	t.Run("app", func(t *testing.T) {
		sinktest.Run(t, sinktest.Channel{People: true, HTTP: true, Verdicts: verdicts, Refusals: apiRefusals(), Start: conform(false, true)})
	})
	t.Run("app that may not read", func(t *testing.T) {
		sinktest.Run(t, sinktest.Channel{People: true, HTTP: true, Verdicts: verdicts, Start: conform(false, false), Copies: maybe})
	})
	t.Run("webhook", func(t *testing.T) {
		sinktest.Run(t, sinktest.Channel{People: true, HTTP: true, Verdicts: verdicts, Refusals: hookRefusals(), Start: conform(true, false), Copies: maybe})
	})
}

func newTestSink(t *testing.T, c Config) (*Sink, *server, *sinktest.HTTPServer) {
	t.Helper()
	fake := &server{token: token, channel: room, name: "security", refuse: map[string][]string{}}
	server := sinktest.NewHTTPServer(t, fake)
	c.APIURL = server.URL + "/api/"
	if c.Token == "" && c.TokenFile == "" {
		c.Token = token
	}
	if c.Channel == "" {
		c.Channel = room
	}
	s, err := New(c, message.Wording{Page: "https://mfawatch.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, fake, server
}

// The message says how things stand, keeps what was sent first, and has each
// step in its thread; what is loud is in the channel too.
func TestStory(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{Channel: "#security"})
	story := sinktest.Named("payments", sinktest.Story("bob")...)
	story[4].Actor.ARN = "arn:aws:iam::000000000000:user/bob"
	ref := sinktest.DeliverAll(t, s, "", story...)
	all := fake.list()
	if len(all) != 5 {
		t.Fatalf("%d messages", len(all))
	}
	parent := all[0]
	shown := strings.Join(parent.shown, "\n")
	for _, want := range []string{
		"🟢 bob in payments (000000000000) has MFA again", "At first: MFA removed from bob in payments (000000000000) by tester",
		"Done by: arn:aws:iam::000000000000:user/tester", "Without MFA since: 2026-05-01 08:03:11 UTC", "CloudTrail record", "info, resolved",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	if !parent.edited || parent.color != green.color || parent.Thread != "" {
		t.Errorf("the message is edited %t, %s, in thread %q", parent.edited, parent.color, parent.Thread)
	}
	for i, loud := range []bool{true, true, false, false} {
		m := all[i+1]
		if m.Thread != parent.TS || m.loud != loud || m.edited || m.Metadata["event_type"] != eventType {
			t.Errorf("%s: in thread %q, in the channel %t, edited %t, %v", story[i+1].Step, m.Thread, m.loud, m.edited, m.Metadata)
		}
	}
	if got := s.Receipt(ref); got != "message "+parent.TS+" in channel "+room {
		t.Error(got)
	}
	// As long as what is read.
	for _, m := range all {
		if n := utf8.RuneCountInString(strings.Join(m.shown[1:], "")); n > 3000 {
			t.Errorf("%d characters: %s", n, m.shown)
		}
	}
	// Open again: in the channel, and the message with it.
	sinktest.DeliverAll(t, s, ref, story[0])
	all = fake.list()
	if len(all) != 6 || !all[5].loud || all[0].color == green.color {
		t.Errorf("open again: %+v", all[5])
	}
}

// A message that cannot be edited is answered, in the channel too; one that
// cannot be answered is posted again, and the exposure goes on there.
func TestFallsBack(t *testing.T) {
	story := sinktest.Story("bob")
	for _, code := range []string{"cant_update_message", "edit_window_closed"} {
		s, fake, _ := newTestSink(t, Config{})
		ref := sinktest.DeliverAll(t, s, "", story[0])
		fake.refuse["chat.update"] = []string{code}
		sinktest.DeliverAll(t, s, ref, story[3])
		if all := fake.list(); len(all) != 2 || all[1].Thread != all[0].TS || !all[1].loud || all[0].edited {
			t.Errorf("%s: %+v", code, all)
		}
	}
	for _, code := range []string{"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"} {
		s, fake, _ := newTestSink(t, Config{})
		ref := sinktest.DeliverAll(t, s, "", story[0])
		fake.refuse["chat.postMessage"] = []string{code}
		ref = sinktest.DeliverAll(t, s, ref, story[1])
		sinktest.DeliverAll(t, s, ref, story[4])
		if all := fake.list(); len(all) != 3 || all[1].Thread != "" || all[2].Thread != all[1].TS || all[1].color != green.color {
			t.Errorf("%s: %+v", code, all)
		}
	}
	s, fake, _ := newTestSink(t, Config{})
	ref := sinktest.DeliverAll(t, s, "", story[0])
	fake.remove(fake.list()[0].TS)
	ref = sinktest.DeliverAll(t, s, ref, story[1])
	sinktest.DeliverAll(t, s, ref, story[4])
	if all := fake.list(); len(all) != 2 || all[0].Thread != "" || all[1].Thread != all[0].TS || all[0].color != green.color {
		t.Errorf("a message that was deleted: %+v", all)
	}
}

// A message that may be there twice says so, unless it was looked for.
func TestPossiblyACopy(t *testing.T) {
	const says = "may be here twice"
	a := sinktest.Story("bob")[0]
	for _, history := range []bool{false, true} {
		s, fake, _ := newTestSink(t, Config{})
		fake.history = history
		if _, err := s.Send(sinks.WithPerhapsArrived(t.Context()), a, ""); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(fmt.Sprint(fake.list()[0].shown), says); got == history {
			t.Errorf("may read %t: says that it may be a copy %t", history, got)
		}
		sinktest.DeliverAll(t, s, "", sinktest.Story("eve")[0])
		if strings.Contains(fmt.Sprint(fake.list()[1].shown), says) {
			t.Error("a first attempt says that it may be a copy")
		}
	}
	// Slack is busy: nothing is sent blindly.
	s, fake, _ := newTestSink(t, Config{})
	fake.refuse["conversations.history"] = []string{"ratelimited"}
	_, err := s.Send(sinks.WithPerhapsArrived(t.Context()), a, "")
	if v, _ := sinks.VerdictOf(err); v != sinks.VerdictThrottled || len(fake.list()) != 0 {
		t.Errorf("%s, %d messages: %v", v, len(fake.list()), err)
	}
}

// If one channel of several fails, those that got the alert do not get it
// again.
func TestTo(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{})
	sink, err := s.To([]string{room, "#security"})
	if err != nil {
		t.Fatal(err)
	}
	a := sinktest.Story("bob")[0]
	fake.refuse["chat.postMessage"] = []string{"", "service_unavailable"}
	ref, err := sink.Send(t.Context(), a, "")
	if err == nil || ref == "" {
		t.Fatalf("ref %q, %v", ref, err)
	}
	ref = sinktest.DeliverAll(t, sink, ref, a)
	if all := fake.list(); len(all) != 2 {
		t.Errorf("%d messages", len(all))
	}
	sinktest.DeliverAll(t, sink, ref, a) // a copy of what is known to be delivered
	if all := fake.list(); len(all) != 2 {
		t.Errorf("%d messages", len(all))
	}
	for _, recipients := range [][]string{nil, {"Not A Channel"}, {room, ""}} {
		if _, err := s.To(recipients); err == nil {
			t.Errorf("took %v", recipients)
		}
	}
	hook, err := New(Config{URL: "https://hooks.slack.com/services/T0/B0/x"}, message.Wording{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hook.To([]string{room}); err == nil {
		t.Error("a webhook took another channel")
	}
}

// A group is one message with a list, whatever its length and its texts.
func TestGroup(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{})
	var alerts []*processor.Alert
	for i := range MaxGroup {
		a := sinktest.Story(fmt.Sprint("bob", i))[0]
		a.Title = sinktest.HostileTexts[i%len(sinktest.HostileTexts)]
		alerts = append(alerts, a)
	}
	alerts[7].Severity = exposure.Critical
	alerts[8].Title = "MFA removed from eve in 000000000000"
	sinktest.Named("payments", alerts[8])
	if err := s.SendGroup(t.Context(), alerts); err != nil {
		t.Fatal(err)
	}
	all := fake.list()
	if len(all) != 1 {
		t.Fatalf("%d messages", len(all))
	}
	shown := strings.Join(all[0].shown, "\n")
	for _, want := range []string{"🔴 100 more alerts, the worst critical", "🟠 MFA removed from eve in payments (000000000000)", "mfawatch"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in %s", want, shown)
		}
	}
	if n := strings.Count(shown, "\n🟠") + strings.Count(shown, "\n🔴"); n < MaxGroup-10 { // some hostile titles are lines of their own
		t.Errorf("%d alerts are listed", n)
	}
	fake.refuse["chat.postMessage"] = []string{"is_archived"}
	if v, _ := sinks.VerdictOf(s.SendGroup(t.Context(), alerts)); v != sinks.VerdictMisconfigured {
		t.Errorf("verdict %s", v)
	}
}

func TestTemplates(t *testing.T) {
	s, fake, _ := newTestSink(t, Config{Templates: message.Templates{"title": "{{upper .Severity}} <{{.Alert.Account}}>", "text": "first: {{.Title}}\nsecond: {{join .Reasons \", \"}}\n"}})
	sinktest.DeliverAll(t, s, "", sinktest.Named("payments", sinktest.Story("bob")...)[0])
	shown := strings.Join(fake.list()[0].shown, "\n")
	for _, want := range []string{"🟠 HIGH &lt;000000000000&gt;", "first: MFA removed from bob in payments (000000000000) by tester\nsecond: done by another identity than the user"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "What to do") {
		t.Error("our own words are there, too")
	}
}

// A message that is too long for its place is cut to the character, whatever is
// escaped in it.
func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                  "plain",
		"<!channel>":             "&lt;!channel&gt;",
		"a&lt;b":                 "a&amp;lt;b",
		strings.Repeat("é", 20):  strings.Repeat("é", 20),
		strings.Repeat("é", 21):  strings.Repeat("é", 19) + "…",
		strings.Repeat("<", 100): "&lt;&lt;&lt;&lt;…",
	} {
		if got := escape(text, 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, text := range sinktest.HostileTexts {
		for _, max := range []int{1, 2, 7, 150} {
			if got := escape(text, max); utf8.RuneCountInString(got) > max || strings.ContainsAny(got, "<>") {
				t.Errorf("%.20q to %d: %q", text, max, got)
			}
		}
	}
}

// The library goes through our connections: their authority, their certificate,
// their bounds.
func TestOverTLS(t *testing.T) {
	server := sinktest.QuietServer(t, (&server{token: token, channel: room}).ServeHTTP)
	server.StartTLS()
	for want, tls := range map[sinks.Verdict]secret.TLSConfig{sinks.VerdictDelivered: {CAFile: sinktest.WritePEM(t, server)}, sinks.VerdictMisconfigured: {}} {
		s, err := New(Config{Token: token, Channel: room, APIURL: server.URL + "/api/", Config: httpsend.Config{TLS: tls}}, message.Wording{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Send(t.Context(), sinktest.Story("bob")[0], "")
		if v, _ := sinks.VerdictOf(err); v != want {
			t.Errorf("%s, want %s: %v", v, want, err)
		}
		_ = s.Close()
	}
}

// Whatever a ref is, it is read, and what was read is the ref of the next time.
func FuzzPlaces(f *testing.F) {
	f.Add("")
	f.Add("posted")
	f.Add(`{"C0123456789":{"channel":"C0123456789","ts":"1777622591.000001","sent":"x","title":"t","facts":[{"Name":"a","Value":"b"}]}}`)
	f.Add(`{"":null}`)
	f.Fuzz(func(t *testing.T, ref string) {
		once := places(ref).ref()
		if twice := places(once).ref(); twice != once {
			t.Errorf("%q became %q, and then %q", ref, once, twice)
		}
	})
}
