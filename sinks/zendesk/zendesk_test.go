package zendesk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A rig is a sink on a server of its own.

type rig struct {
	*server
	sink *Sink
	log  bytes.Buffer
	url  string
}

func newRig(t *testing.T, change func(c *Config)) *rig {
	t.Helper()
	r := &rig{server: newServer(t)}
	server := httptest.NewServer(r.server)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.sink = r.make(t, change)
	return r
}

func (r *rig) make(t *testing.T, change func(c *Config)) *Sink {
	t.Helper()
	c := DefaultConfig()
	c.URL, c.Email, c.Token = r.url, "bot@example.net", "xyzzy-token"
	if change != nil {
		change(&c)
	}
	sink, err := New(c, message.Wording{}, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// A request that is still under way is not seen by the look: the key answers for
// it, for two hours. Later, the look does.
func TestIdempotency(t *testing.T) {
	r := newRig(t, nil)
	now := time.Now()
	r.now = func() time.Time { return now }
	a := sinktest.Story("bob")[0]
	ref := sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered)
	hide := func(hidden bool) { r.tickets[0].deleted = hidden } // from lists
	hide(true)
	if again := sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered); again != ref || r.hits != 1 || len(r.tickets) != 1 {
		t.Errorf("ref %s, then %s; %d hits, %d tickets", ref, again, r.hits, len(r.tickets))
	}
	other := r.make(t, func(c *Config) { c.Priority = map[string]string{"high": "urgent"} })
	sinktest.Deliver(t, other, a, "", sinks.VerdictRetry, "remembers for two hours")
	hide(false)
	if again := sinktest.Deliver(t, other, a, "", sinks.VerdictDelivered); again != ref {
		t.Errorf("ref %s, then %s", ref, again)
	}
	now = now.Add(2 * time.Hour)
	if again := sinktest.Deliver(t, r.sink, a, "", sinks.VerdictDelivered); again != ref || len(r.tickets) != 1 {
		t.Errorf("ref %s, then %s; %d tickets", ref, again, len(r.tickets))
	}
}

func TestLimits(t *testing.T) {
	for _, noAfter := range []bool{false, true} {
		r := newRig(t, nil)
		now := time.Now()
		r.now, r.limit, r.noAfter = func() time.Time { return now }, 2, noAfter
		story := sinktest.Story("bob")
		ref := sinktest.Deliver(t, r.sink, story[0], "", sinks.VerdictDelivered)
		_, err := r.sink.Send(t.Context(), story[1], ref)
		if v, after := sinks.VerdictOf(err); v != sinks.VerdictThrottled || after < 59*time.Second || after > time.Minute {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		r.limit = 0
		for n := range 30 {
			note := *story[1]
			note.ID = fmt.Sprintf("%sr%d", note.ID, n)
			sinktest.Deliver(t, r.sink, &note, ref, sinks.VerdictDelivered)
		}
		_, err = r.sink.Send(t.Context(), story[2], ref)
		if v, after := sinks.VerdictOf(err); v != sinks.VerdictThrottled || !noAfter && after < 9*time.Minute {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		now = now.Add(10 * time.Minute)
		sinktest.Deliver(t, r.sink, story[2], ref, sinks.VerdictDelivered)
	}
}

func TestCredentials(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"oauth": func(c *Config) { c.Email, c.Token = "", "xyzzy-oauth" },
		"file":  func(c *Config) { c.Token, c.TokenFile = "", sinktest.SecretFile(t, "xyzzy-token\n") },
	} {
		sinktest.Deliver(t, newRig(t, change).sink, sinktest.Story(name)[0], "", sinks.VerdictDelivered)
	}
	sinktest.Deliver(t, newRig(t, func(c *Config) { c.Token = "xyzzy-old" }).sink, sinktest.Story("bob")[0], "", sinks.VerdictMisconfigured, "check email and token")
	r := newRig(t, nil)
	r.suspended = true
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictMisconfigured, "suspended")
	r.suspended, r.noDesk = false, true
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictMisconfigured, "there is no help desk at url")
}

func TestTexts(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Templates = message.Templates{"subject": strings.Repeat("é", 200), "comment": "<b>{{.Step}}</b>\n{{\"{{ticket.id}} {{{% assign\"}}"}
	})
	ref := sinktest.Deliver(t, r.sink, sinktest.Story("bob")[0], "", sinks.VerdictDelivered)
	sinktest.Deliver(t, r.sink, sinktest.Story("bob")[4], ref, sinks.VerdictDelivered)
	got := r.tickets[0]
	if len(got.subject) > 150 || !strings.HasSuffix(got.subject, "é…") {
		t.Errorf("%d bytes: %s", len(got.subject), got.subject)
	}
	if want := "&lt;b&gt;opened&lt;/b&gt;<br>({ticket.id}} ({(% assign<br><br>mfawatch alert "; !strings.HasPrefix(got.comments[0], want) {
		t.Errorf("%s\nwant %s", got.comments[0], want)
	}
	for _, text := range []string{"{{", "{%", "{ {", "{\n%", "{{{", "{{{{%", "a{{b}}{{c"} {
		if got := harmless(text); placeholder().MatchString(got) || len(got) != len(text) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestTo(t *testing.T) {
	r := newRig(t, nil)
	for i, to := range [][]string{{fmt.Sprint(group)}, {otherAgent}, {otherAgent, fmt.Sprint(group)}} {
		other, err := r.sink.To(to)
		if err != nil {
			t.Fatal(err)
		}
		sinktest.Deliver(t, other, sinktest.Story(fmt.Sprint("bob", i))[0], "", sinks.VerdictDelivered)
		if got := r.tickets[i]; (got.group == group) != (i != 1) || (got.assigned != "") != (i != 0) {
			t.Errorf("%q: %+v", to, got)
		}
	}
	other, err := r.sink.To([]string{fmt.Sprint(group)})
	if err != nil {
		t.Fatal(err)
	}
	sinktest.Deliver(t, r.sink, sinktest.Story("bob0")[0], "", sinks.VerdictDelivered) // others have their own
	sinktest.Deliver(t, other, sinktest.Story("bob0")[0], "", sinks.VerdictDelivered)
	if len(r.tickets) != 4 {
		t.Errorf("%d tickets", len(r.tickets))
	}
	for _, wrong := range [][]string{nil, {""}, {"Security"}, {"1", "2"}, {"a@b.c", "d@e.f"}, {"-1"}} {
		if _, err := r.sink.To(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestRender(t *testing.T) {
	r := newRig(t, nil)
	for i, want := range []string{"POST /api/v2/tickets\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{"} {
		text, err := r.sink.Render(sinktest.Story("bob")[i])
		if err != nil || !strings.HasPrefix(text, want) || !json.Valid([]byte(text[strings.IndexByte(text, '{'):])) {
			t.Errorf("%v: %s", err, text)
		}
		sinktest.Hushed(t, text)
	}
	if len(r.requests) > 0 {
		t.Errorf("asked %v", r.requests)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://acme.zendesk.com", Email: "bot@example.net", Token: "xyzzy"}
	sinktest.Mistakes(t, good, func(c Config) error {
		_, err := New(c, message.Wording{}, nil)
		return err
	}, map[string][]func(c *Config){
		"url: missing": {func(c *Config) { c.URL = "" }},
		"url: want the address of your site alone": {func(c *Config) { c.URL += "/api/v2" }},
		"token_file: missing":                      {func(c *Config) { c.Token = "" }},
		"token_file: set beside token":             {func(c *Config) { c.TokenFile = "none" }},
		"token_file: open":                         {func(c *Config) { c.Token, c.TokenFile = "", "none" }},
		"email: want the address":                  {func(c *Config) { c.Email = "bot@example.net/token" + " x" }},
		"group_id: want":                           {func(c *Config) { c.GroupID = -1 }},
		"tags[0]: want a word":                     {func(c *Config) { c.Tags = []string{"two words"} }},
		"fields.cause: want the number":            {func(c *Config) { c.Fields = map[string]string{"cause": "x"} }},
		"priority.high: want one of low, normal":   {func(c *Config) { c.Priority = map[string]string{"high": "P1"} }},
		"templates.note: no such part":             {func(c *Config) { c.Templates = message.Templates{"note": "x"} }},
	})
}
