package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A zdRig is a sink on a server of its own.

type zdRig struct {
	*zdServer
	sink *Zendesk
	log  bytes.Buffer
	url  string
}

func newZdRig(t *testing.T, change func(c *ZendeskConfig)) *zdRig {
	t.Helper()
	r := &zdRig{zdServer: newZdServer(t)}
	server := httptest.NewServer(r.zdServer)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.sink = r.make(t, change)
	return r
}

func (r *zdRig) make(t *testing.T, change func(c *ZendeskConfig)) *Zendesk {
	t.Helper()
	c := DefaultZendeskConfig()
	c.URL, c.Email, c.Token = r.url, "bot@example.net", "xyzzy-token"
	if change != nil {
		change(&c)
	}
	sink, err := NewZendesk(c, Wording{}, slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// What the look before a step meets has the verdict of something that wrote

// nothing.

func TestZendeskLook(t *testing.T) {
	a := conformStory("bob")[0]
	for _, c := range []struct {
		name  string
		fault fault
		want  verdict
		words string
	}{
		{"401", fault{status: 401, body: `{"error":"Couldn't authenticate you"}`}, misconfigured, "check email and token"},
		{"403", fault{status: 403}, misconfigured, "suspended"},
		{"404", fault{status: 404}, misconfigured, "there is no help desk at url"},
		{"409", fault{status: 409}, retry, "409"},
		{"500", fault{status: 500}, retry, "500"},
		{"503", fault{status: 503}, retry, "503"},
		{"reset", fault{reset: true}, retry, ""},
		{"cut", fault{cut: true}, retry, ""},
		{"a page", fault{status: 200, body: "<html>"}, misconfigured, "url is not that of a help desk"},
		{"garbage", fault{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: "[1,"}, retry, "no answer of the API"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &zdRig{zdServer: newZdServer(t)}
			f := newFaultyServer(t, r.zdServer)
			r.url = f.URL
			f.inject(c.fault)
			ticketTell(t, r.make(t, nil), a, "", c.want, c.words)
			if len(r.tickets) > 0 {
				t.Error("a ticket was made")
			}
		})
	}
}

func TestZendeskUnreadableAnswer(t *testing.T) {
	r := &zdRig{zdServer: newZdServer(t)}
	f := newFaultyServer(t, r.zdServer)
	f.spare = ticketRead
	r.url = f.URL
	sink := r.make(t, nil)
	for body, want := range map[string]verdict{"": ambiguous, "[1,": ambiguous, "{}": ambiguous, `{"ticket":{}}`: ambiguous, "<html>": misconfigured} {
		f.inject(fault{status: 201, body: body})
		ticketTell(t, sink, conformStory("bob")[0], "", want)
	}
}

// A request that is still under way is not seen by the look: the key answers for

// it, for two hours. Later, the look does.

func TestZendeskIdempotency(t *testing.T) {
	r := newZdRig(t, nil)
	now := time.Now()
	r.now = func() time.Time { return now }
	a := conformStory("bob")[0]
	ref := ticketTell(t, r.sink, a, "", told)
	hide := func(hidden bool) { r.tickets[0].deleted = hidden } // from lists
	hide(true)
	if again := ticketTell(t, r.sink, a, "", told); again != ref || r.hits != 1 || len(r.tickets) != 1 {
		t.Errorf("ref %s, then %s; %d hits, %d tickets", ref, again, r.hits, len(r.tickets))
	}
	other := r.make(t, func(c *ZendeskConfig) { c.Priority = map[string]string{"high": "urgent"} })
	ticketTell(t, other, a, "", retry, "remembers for two hours")
	hide(false)
	if again := ticketTell(t, other, a, "", told); again != ref {
		t.Errorf("ref %s, then %s", ref, again)
	}
	now = now.Add(2 * time.Hour)
	if again := ticketTell(t, r.sink, a, "", told); again != ref || len(r.tickets) != 1 {
		t.Errorf("ref %s, then %s; %d tickets", ref, again, len(r.tickets))
	}
}

func TestZendeskLimits(t *testing.T) {
	for _, noAfter := range []bool{false, true} {
		r := newZdRig(t, nil)
		now := time.Now()
		r.now, r.limit, r.noAfter = func() time.Time { return now }, 2, noAfter
		story := conformStory("bob")
		ref := ticketTell(t, r.sink, story[0], "", told)
		_, err := r.sink.Send(t.Context(), story[1], ref)
		if v, after := judge(err); v != throttled || after < 59*time.Second || after > time.Minute {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		r.limit = 0
		for n := range 30 {
			note := *story[1]
			note.ID = fmt.Sprintf("%sr%d", note.ID, n)
			ticketTell(t, r.sink, &note, ref, told)
		}
		_, err = r.sink.Send(t.Context(), story[2], ref)
		if v, after := judge(err); v != throttled || !noAfter && after < 9*time.Minute {
			t.Errorf("%s after %s: %v", v, after, err)
		}
		now = now.Add(10 * time.Minute)
		ticketTell(t, r.sink, story[2], ref, told)
	}
}

func TestZendeskCredentials(t *testing.T) {
	for name, change := range map[string]func(c *ZendeskConfig){
		"oauth": func(c *ZendeskConfig) { c.Email, c.Token = "", "xyzzy-oauth" },
		"file":  func(c *ZendeskConfig) { c.Token, c.TokenFile = "", secretFile(t, "xyzzy-token\n") },
	} {
		ticketTell(t, newZdRig(t, change).sink, conformStory(name)[0], "", told)
	}
	ticketTell(t, newZdRig(t, func(c *ZendeskConfig) { c.Token = "xyzzy-old" }).sink, conformStory("bob")[0], "", misconfigured, "check email and token")
	r := newZdRig(t, nil)
	r.suspended = true
	ticketTell(t, r.sink, conformStory("bob")[0], "", misconfigured, "suspended")
	r.suspended, r.noDesk = false, true
	ticketTell(t, r.sink, conformStory("bob")[0], "", misconfigured, "there is no help desk at url")
}

// Somebody solved, closed or deleted the ticket: then that is the end of it, but

// for what has to be heard.

// It was closed or deleted between the look and the change: the next attempt

// sees it.

// A ticket whose external_id somebody changed is known by its number.

// What the help desk wants of each ticket is ours to set; what it wants of a

// solved one keeps no other from being made.

// Nobody needs to have taken a ticket for it to be solved.

func TestZendeskTexts(t *testing.T) {
	r := newZdRig(t, func(c *ZendeskConfig) {
		c.Templates = Templates{"subject": strings.Repeat("é", 200), "comment": "<b>{{.Step}}</b>\n{{\"{{ticket.id}} {{{% assign\"}}"}
	})
	ref := ticketTell(t, r.sink, conformStory("bob")[0], "", told)
	ticketTell(t, r.sink, conformStory("bob")[4], ref, told)
	got := r.tickets[0]
	if len(got.subject) > 150 || !strings.HasSuffix(got.subject, "é…") {
		t.Errorf("%d bytes: %s", len(got.subject), got.subject)
	}
	if want := "&lt;b&gt;opened&lt;/b&gt;<br>({ticket.id}} ({(% assign<br><br>mfawatch alert "; !strings.HasPrefix(got.comments[0], want) {
		t.Errorf("%s\nwant %s", got.comments[0], want)
	}
	for _, text := range []string{"{{", "{%", "{ {", "{\n%", "{{{", "{{{{%", "a{{b}}{{c"} {
		if got := zdText(text); placeholder.MatchString(got) || len(got) != len(text) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestZendeskTo(t *testing.T) {
	r := newZdRig(t, func(c *ZendeskConfig) { c.AssigneeEmail = zdOther })
	for i, to := range [][]string{{fmt.Sprint(zdGroup)}, {zdOther}, {zdOther, fmt.Sprint(zdGroup)}} {
		other, err := r.sink.To(to)
		if err != nil {
			t.Fatal(err)
		}
		ticketTell(t, other, conformStory(fmt.Sprint("bob", i))[0], "", told)
		if got := r.tickets[i]; (got.group == zdGroup) != (i != 1) || (got.assigned != "") != (i != 0) {
			t.Errorf("%q: %+v", to, got)
		}
	}
	other, err := r.sink.To([]string{fmt.Sprint(zdGroup)})
	if err != nil {
		t.Fatal(err)
	}
	ticketTell(t, r.sink, conformStory("bob0")[0], "", told) // others have their own
	ticketTell(t, other, conformStory("bob0")[0], "", told)
	if len(r.tickets) != 4 {
		t.Errorf("%d tickets", len(r.tickets))
	}
	for _, wrong := range [][]string{nil, {""}, {"Security"}, {"1", "2"}, {"a@b.c", "d@e.f"}, {"-1"}} {
		if _, err := r.sink.To(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestZendeskRender(t *testing.T) {
	r := newZdRig(t, nil)
	for i, want := range []string{"POST /api/v2/tickets\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{", "PUT /api/v2/tickets/NUMBER\n{"} {
		text, err := r.sink.Render(conformStory("bob")[i])
		if err != nil || !strings.HasPrefix(text, want) || !json.Valid([]byte(text[strings.IndexByte(text, '{'):])) {
			t.Errorf("%v: %s", err, text)
		}
		hushed(t, text)
	}
	if len(r.requests) > 0 {
		t.Errorf("asked %v", r.requests)
	}
}

func TestZendeskConfig(t *testing.T) {
	good := ZendeskConfig{URL: "https://acme.zendesk.com", Email: "bot@example.net", Token: "xyzzy"}
	for want, change := range map[string]func(c *ZendeskConfig){
		"url: missing": func(c *ZendeskConfig) { c.URL = "" },
		"url: want the address of your site alone": func(c *ZendeskConfig) { c.URL += "/api/v2" },
		"token_file: missing":                      func(c *ZendeskConfig) { c.Token = "" },
		"token_file: set beside token":             func(c *ZendeskConfig) { c.TokenFile = "none" },
		"token_file: open":                         func(c *ZendeskConfig) { c.Token, c.TokenFile = "", "none" },
		"email: want the address":                  func(c *ZendeskConfig) { c.Email = "bot@example.net/token" + " x" },
		"assignee_email: want":                     func(c *ZendeskConfig) { c.AssigneeEmail = "anna" },
		"group_id: want":                           func(c *ZendeskConfig) { c.GroupID = -1 },
		"brand_id: want":                           func(c *ZendeskConfig) { c.BrandID = -1 },
		"tags[0]: want a word":                     func(c *ZendeskConfig) { c.Tags = []string{"two words"} },
		"fields.cause: want the number":            func(c *ZendeskConfig) { c.Fields = map[string]string{"cause": "x"} },
		"priority.high: want one of low, normal":   func(c *ZendeskConfig) { c.Priority = map[string]string{"high": "P1"} },
		"templates.note: no such part":             func(c *ZendeskConfig) { c.Templates = Templates{"note": "x"} },
	} {
		c := good
		change(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), "xyzzy") {
			t.Errorf("a secret is told: %v", err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
