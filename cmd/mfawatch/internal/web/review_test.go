package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A still is a Service that does nothing beside its journal.
type still struct {
	*prometheus.Registry
	j      *journal.Journal
	config config.Config
	failed error // of a sink
}

func (s *still) Config() *config.Config                            { return &s.config }
func (s *still) Journals() []*journal.Journal                      { return []*journal.Journal{s.j} }
func (s *still) Numbered(yield func(int, *journal.Journal) bool)   { yield(-1, s.j) }
func (s *still) Replicas(context.Context) ([]shard.Replica, error) { return nil, nil }
func (s *still) ShardStatuses() []shard.Status                     { return nil }
func (s *still) Sinks() []string                                   { return []string{"mail", "pager"} }
func (s *still) Stats() (journal.Stats, error)                     { return s.j.Stats() }
func (s *still) Append(ctx context.Context, events []*trail.Event) (int, error) {
	return s.j.Append(ctx, events)
}
func (s *still) Ready(yield func(string, error) bool) {
	_ = yield("processor", nil) && yield("sink mail", nil) && yield("sink pager", s.failed) && yield("source trail", nil)
}
func (s *still) Again(context.Context, string, string) error { return errors.New("no") }
func (s *still) Reload() (config.Changes, error)             { return config.Changes{}, nil }

// stillPages is the pages of a still, at an address that others can reach unless
// local is true.
func stillPages(t *testing.T, local bool) (*still, pages) {
	t.Helper()
	s := &still{Registry: prometheus.NewRegistry(), j: newJournal(t)}
	s.config.HTTP.URL = "https://watch.example.net"
	admin := NewAdmin(s, prometheus.NewRegistry())
	b := newBoard(s, admin)
	return s, pages{b, access{func() config.HTTPConfig { return s.config.HTTP }, func() bool { return local }}, "the-form", make(chan struct{}, maxStreams), new(shownViews), nil}
}

// post sends a form to pages, and returns the page that they answer.
func post(p pages, path string, form url.Values, header ...string) (status int, body string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Host = "watch.example.net"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.handler().ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	return w.Code, string(text)
}

// shown returns a page.
func shown(t *testing.T, p pages, path string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "watch.example.net"
	w := httptest.NewRecorder()
	p.handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (s *still) dead(t *testing.T) int {
	t.Helper()
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return deadTotal(st)
}

// A person sends dead letters again and drops them at a page, without a script;
// dropping is asked for twice.
func TestReviewDeadLetters(t *testing.T) {
	s, p := stillPages(t, true)
	withDead(t, s.j, pageKept+2, "mail", "pager")
	first := shown(t, p, "/deadletters")
	rest := shown(t, p, "/deadletters?page=2")
	if !strings.Contains(first, "Dead letters (104)") || strings.Count(first, `type="checkbox"`) != pageKept || !strings.Contains(first, "1 to 50 of 104") ||
		!strings.Contains(first, `href="/deadletters?page=1" rel="next"`) || strings.Count(rest, `type="checkbox"`) != 4 || !strings.Contains(rest, "sink pager") {
		t.Fatalf("%s\n%s", first, rest)
	}
	key := regexp.MustCompile(`name="key" value="(mail:[^"]+)"`).FindStringSubmatch(first)[1]
	form := func(do string, keys ...string) url.Values {
		return url.Values{"form": {"the-form"}, "do": {do}, "key": keys}
	}
	if _, body := post(p, "/deadletters", form("retry", key)); !strings.Contains(body, "Send again: 1 dead letter done.") || s.dead(t) != 103 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	if _, body := post(p, "/deadletters", form("retry", key)); !strings.Contains(body, "0 dead letters done, 1 not found.") || s.dead(t) != 103 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	_, body := post(p, "/deadletters", form("drop", "pager:alert-0001"))
	if !strings.Contains(body, "Drop 1 permanently?") || !strings.Contains(body, `name="key" value="pager:alert-0001"`) || s.dead(t) != 103 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	confirmed := form("drop", "pager:alert-0001")
	confirmed.Set("confirmed", "yes")
	if _, body := post(p, "/deadletters", confirmed); !strings.Contains(body, "Drop: 1 dead letter done.") || s.dead(t) != 102 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	if _, body := post(p, "/deadletters", form("drop")); !strings.Contains(body, "Nothing was selected.") || s.dead(t) != 102 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	if _, body := post(p, "/deadletters", form("drop-all")); !strings.Contains(body, "Drop all 102 permanently?") || s.dead(t) != 102 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	confirmed = form("drop-all")
	for _, seen := range []string{"yes", "101"} { // another page's, and before one more came
		confirmed.Set("confirmed", seen)
		if _, body := post(p, "/deadletters", confirmed); !strings.Contains(body, "Drop all 102 permanently?") || !strings.Contains(body, `name="confirmed" value="102"`) || s.dead(t) != 102 {
			t.Errorf("%s seen, %d left: %s", seen, s.dead(t), body)
		}
	}
	confirmed.Set("confirmed", "102")
	if _, body := post(p, "/deadletters", confirmed); !strings.Contains(body, "Drop: 102 dead letters done.") || s.dead(t) != 0 || !strings.Contains(body, "<p>None.</p>") {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
	for _, f := range []url.Values{form("explode", "mail:x"), form("retry", "no-sink")} {
		if status, body := post(p, "/deadletters", f); status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", f, status, body)
		}
	}
}

// The page of the quarantine, with text of an attacker's choice.
func TestReviewQuarantine(t *testing.T) {
	s, p := stillPages(t, true)
	for i := range 3 {
		if _, err := s.j.Quarantine(t.Context(), []journal.Quarantined{{Origin: hostileUser, Offset: int64(i), Reason: "bad", Err: `<img src=x>` + "\x1b[2J", Raw: []byte("{"), Source: "trail"}}); err != nil {
			t.Fatal(err)
		}
	}
	body := shown(t, p, "/quarantine")
	if !strings.Contains(body, "Quarantine (3)") || strings.Contains(body, "<img") || strings.Contains(body, "<script>alert") || strings.Contains(body, "\x1b") || !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Fatal(body)
	}
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(body)[1]
	left := func() int {
		st, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return st.Quarantined
	}
	if _, body := post(p, "/quarantine", url.Values{"form": {"the-form"}, "do": {"retry-all"}}); !strings.Contains(body, "Read again: 0 quarantined records done, 3 still unreadable and kept.") || left() != 3 {
		t.Errorf("%d left: %s", left(), body)
	}
	if _, body := post(p, "/quarantine", url.Values{"form": {"the-form"}, "do": {"drop"}, "key": {key}, "confirmed": {"yes"}}); !strings.Contains(body, "Drop: 1 quarantined record done.") || left() != 2 {
		t.Errorf("%d left: %s", left(), body)
	}
}

// No form changes anything that is not of this page, and none at an address that
// others can reach without the token of the API.
func TestWhoMayChange(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-token-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		local       bool
		file        string
		form, token string
		header      []string
		want        int
		text        string
	}{
		"on this machine":                 {true, "", "the-form", "", nil, 200, ""},
		"by a script":                     {true, "", "the-form", "", []string{"Sec-Fetch-Site", ""}, 200, ""},
		"from another site":               {true, "", "the-form", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		"from another port":               {true, "", "the-form", "", []string{"Sec-Fetch-Site", "same-site"}, 403, "another site"},
		"from another site, old browser":  {true, "", "the-form", "", []string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, 403, "another site"},
		"of no page":                      {true, "", "", "", nil, 403, "load the page again"},
		"of a page of another start":      {true, "", "other", "", nil, 403, "load the page again"},
		"for others, with the token":      {false, token, "the-form", "a-token-of-some-length", nil, 200, ""},
		"for others, with a wrong token":  {false, token, "the-form", "b-token-of-some-length", nil, 401, "go back"},
		"for others, without":             {false, token, "the-form", "", nil, 401, "go back"},
		"for others, of no page":          {false, token, "", "a-token-of-some-length", nil, 403, "load the page again"},
		"for others, where there is none": {false, "", "the-form", "", nil, 403, "http.token_file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := stillPages(t, c.local)
			withDead(t, s.j, 1, "mail")
			s.config.HTTP.TokenFile = c.file
			page := shown(t, p, "/deadletters")
			if asks := strings.Contains(page, `type="password"`); asks != (!c.local && c.file != "") {
				t.Errorf("asks for a token: %v", asks)
			}
			if refuses := !strings.Contains(page, "<button"); refuses != (!c.local && c.file == "") {
				t.Errorf("has no buttons: %v", refuses)
			}
			status, body := post(p, "/deadletters", url.Values{"form": {c.form}, "token": {c.token}, "do": {"retry-all"}}, c.header...)
			left := 1
			if c.want == 200 {
				left = 0
			}
			if status != c.want || s.dead(t) != left || !strings.Contains(body, c.text) {
				t.Errorf("%d, %d left: %s", status, s.dead(t), body)
			}
		})
	}
	_, p := stillPages(t, true)
	if status, body := post(p, "/deadletters", url.Values{"form": {"the-form"}, "do": {"retry-all"}, "key": {strings.Repeat("x", maxForm)}}); status != http.StatusBadRequest {
		t.Errorf("a large form: %d %s", status, body)
	}
}

// Several pages of keys fit in a form.
func TestFormOfManyKeys(t *testing.T) {
	s, p := stillPages(t, true)
	withDead(t, s.j, pageKept, "mail")
	f := url.Values{"form": {"the-form"}, "do": {"retry"}}
	for i := range pageKept {
		f.Add("key", fmt.Sprintf("mail:alert-%04d", i))
	}
	if _, body := post(p, "/deadletters", f); s.dead(t) != 0 {
		t.Errorf("%d left: %s", s.dead(t), body)
	}
}
