package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// managers is the two ways to one journal: over the network, and within.
func managers(t *testing.T, j *journal.Journal) map[string]manager {
	admin := NewJournalAdmin(j)
	return map[string]manager{"network": overNetwork(t, admin), "within": admin}
}

// overNetwork is the client of an admin.
func overNetwork(t *testing.T, a *Admin) *Client {
	t.Helper()
	server := httptest.NewServer(accessTo(config.HTTPConfig{Admin: true}).guard(a.Handler()))
	t.Cleanup(server.Close)
	c, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newJournal(t *testing.T) *journal.Journal {
	j, err := journal.Open(filepath.Join(t.TempDir(), "mfawatch.db"), journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// withDead journals n alerts and makes them dead letters of each sink.
func withDead(t *testing.T, j *journal.Journal, n int, names ...string) {
	t.Helper()
	if err := j.Register(names...); err != nil {
		t.Fatal(err)
	}
	var events []*trail.Event
	for i := range n {
		events = append(events, &trail.Event{ID: fmt.Sprintf("%04d", i), Name: trail.DeactivateMFADevice, Account: "1", Time: time.Now()})
	}
	_, err := j.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.Fold(t.Context(), time.Now(), func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
		for _, e := range events {
			out.Alerts = append(out.Alerts, &exposure.Alert{ID: "alert-" + e.ID, Step: exposure.Opened, Severity: exposure.High, Title: "MFA removed"})
		}
		return out
	}, func(journal.Folded) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		pending, err := j.Pending(name, 0, n)
		if err != nil || len(pending) != n {
			t.Fatalf("%d pending, %v", len(pending), err)
		}
		for _, p := range pending {
			if err := j.Bury(name, outbox.DeadLetter{Number: p.Number, Cause: "no", Attempts: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A query that is understood in part would drop more than was meant.
func TestAPIRefusesWhatItDoesNotUnderstand(t *testing.T) {
	j := newJournal(t)
	withDead(t, j, 2, "a", "b")
	api := handlerOf(append(NewJournalAdmin(j).routes(), board{}.routes()...))
	for query, want := range map[string]string{
		"DELETE /api/v1/deadletters?all=true&snk=a":              "snk: unknown parameter; known are: id, all, sink",
		"DELETE /api/v1/deadletters?all=true&sink=%zz":           "want a query such as a=b",
		"DELETE /api/v1/deadletters?all=true&sink=a;b":           "want a query such as a=b",
		"DELETE /api/v1/deadletters?all=true&sink=a&sink=b":      "sink: want it once, got it 2 times",
		"DELETE /api/v1/deadletters?all=true&all=false":          "all: want it once",
		"POST /api/v1/deadletters/retry?all=true&Sink=a":         "Sink: unknown parameter",
		"DELETE /api/v1/quarantine?all=true&sink=a":              "sink: unknown parameter; known are: id, all",
		"GET /api/v1/exposures?sate=open":                        "sate: unknown parameter",
		"GET /api/v1/journal/backup?%E2%80%AEx=1":                `"\u202ex": unknown parameter; known are: none`,
		"GET /api/v1/alerts?" + strings.Repeat("x", 5000):        strings.Repeat("x", 60) + "…: unknown parameter",
		"DELETE /api/v1/deadletters?all=true&" + "id=alert-0001": "want either id or all=true",
		// A variable of a shell that is not set.
		"DELETE /api/v1/deadletters?all=true&sink=":          "sink: want a value, or no sink",
		"POST /api/v1/deadletters/retry?id=&sink=a":          "id: want a value",
		"GET /api/v1/exposures?severity=":                    "severity: want a value",
		"DELETE /api/v1/deadletters?all=yes&id=alert-1":      `all: want true, got "yes"`,
		"GET /api/v1/exposures?severity=grave":               `severity: unknown "grave"`,
		"GET /api/v1/exposures?limit=NaN":                    `limit: want 1 to 1000, got "NaN"`,
		"GET /api/v1/alerts?limit=-1":                        `limit: want 1 to 1000, got "-1"`,
		"GET /api/v1/alerts?before=-1.5":                     "before: want the value of next",
		"GET /api/v1/exposures?after=yesterday":              "after: want the value of next",
		"GET /api/v1/overview?severity=sevre":                `severity: unknown "sevre"`,
		"GET /api/v1/overview?state=open":                    `state: unknown "open"`,
		"GET /api/v1/overview?sort=name":                     `sort: unknown "name"`,
		"GET /api/v1/overview?page=-1":                       `page: want 0 or more, got "-1"`,
		"GET /api/v1/overview?page=99999999999999999999":     `page: want 0 or more, got "99999999999999999999"`,
		"GET /api/v1/overview?page=1e1":                      `page: want 0 or more, got "1e1"`,
		"GET /api/v1/overview?q=" + strings.Repeat("x", 101): "q: want at most 100 bytes",
	} {
		method, uri, _ := strings.Cut(query, " ")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(method, uri, nil))
		if body := w.Body.String(); w.Code != http.StatusBadRequest || !strings.HasPrefix(body, want) || len(body) > 200 {
			t.Errorf("%.80s: %d %s", query, w.Code, body)
		}
	}
	for _, sink := range []string{"a", "b"} {
		if left, err := j.DeadLettersAfter(sink, 0, 10); err != nil || len(left) != 2 {
			t.Errorf("sink %s has %d dead letters left, %v", sink, len(left), err)
		}
	}
}

func TestAdminDeadLetters(t *testing.T) {
	const n = adminStep + 60
	for way := range managers(t, newJournal(t)) {
		t.Run(way, func(t *testing.T) {
			j := newJournal(t)
			withDead(t, j, n, "a", "b")
			d := managers(t, j)[way]
			ids := func(s Selection) (all []string) {
				t.Helper()
				err := d.ListDeadLetters(t.Context(), s, func(l DeadLetter) error {
					all = append(all, l.Sink+"/"+l.Alert.ID)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				return all
			}
			all := ids(Selection{})
			if len(all) != 2*n || !slices.IsSorted(all) || all[0] != "a/alert-0000" {
				t.Fatalf("%d dead letters, from %v on", len(all), all[:min(len(all), 3)])
			}
			if got := ids(Selection{Sink: "b", IDs: []string{"alert-0250", "nonsense"}}); !slices.Equal(got, []string{"b/alert-0250"}) {
				t.Errorf("got %v", got)
			}
			var some []string // more than go into one request
			for i := range idStep + 20 {
				some = append(some, fmt.Sprintf("alert-%04d", i))
			}
			o, err := d.RetryDeadLetters(t.Context(), Selection{Sink: "a", IDs: append(some, "nonsense")})
			if err != nil || o.Done != len(some) || !slices.Equal(o.Unknown, []string{"nonsense"}) {
				t.Errorf("retried %+v, %v", o, err)
			}
			if o, err = d.DropDeadLetters(t.Context(), Selection{All: true}); err != nil || o.Done != 2*n-len(some) {
				t.Errorf("dropped %+v, %v", o, err)
			}
			if got := ids(Selection{}); len(got) != 0 {
				t.Errorf("left %v", got)
			}
			if pending, err := j.Pending("a", 0, n); err != nil || len(pending) != len(some) {
				t.Errorf("%d pending, %v", len(pending), err)
			}
			if _, err := d.DropDeadLetters(t.Context(), Selection{Sink: "c", All: true}); err == nil || err.Error() != `no sink is called "c"; known are a, b` {
				t.Errorf("an unknown sink: %v", err)
			}
		})
	}
}

func TestAdminRetryForASinkThatIsGone(t *testing.T) {
	j := newJournal(t)
	withDead(t, j, 2, "a", "gone")
	j.Unregister("gone")
	d := managers(t, j)["within"]
	retry := func(s Selection) (Outcome, error) {
		return d.RetryDeadLetters(t.Context(), s)
	}
	if o, err := retry(Selection{All: true}); err == nil || !strings.HasPrefix(err.Error(), "sink gone is no longer in the configuration") || o.Done != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := retry(Selection{All: true, Sink: "a"}); err != nil || o.Done != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}

// A record that could not be read once is read after an upgrade.
func TestAdminQuarantineRetry(t *testing.T) {
	const good = `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","userName":"alice"},` +
		`"eventTime":"2026-05-01T08:03:11Z","eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1",` +
		`"requestParameters":{"userName":"zoe"},"responseElements":null,"eventID":"e1","recipientAccountId":"111122223333"}`
	for way := range managers(t, newJournal(t)) {
		t.Run(way, func(t *testing.T) {
			j := newJournal(t)
			_, err := j.Quarantine(t.Context(), []journal.Quarantined{
				{Origin: "kafka://t/0@7", Reason: "syntax", Err: "too new", Raw: []byte(good)},
				{Origin: "kafka://t/0@8", Reason: "syntax", Err: "too new", Raw: []byte(strings.Replace(good, "2026-05-01T", "tomorrow", 1))},
			})
			if err != nil {
				t.Fatal(err)
			}
			d := managers(t, j)[way]
			for i, want := range []Outcome{{Done: 1, Events: 1}, {Done: 0}} {
				o, err := d.RetryQuarantine(t.Context(), Selection{All: true})
				if err != nil || o.Done != want.Done || o.Events != want.Events || len(o.Still) != 1 {
					t.Errorf("time %d: %+v, %v, want %+v and one that still cannot be read", i, o, err, want)
				}
			}
			left, err := j.QuarantineRecords()
			if err != nil || len(left) != 1 || left[0].Origin != "kafka://t/0@8" {
				t.Errorf("left %+v, %v", left, err)
			}
			_, err = j.Fold(t.Context(), time.Now(), func(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
				if len(events) != 1 || events[0].User != "zoe" || events[0].Origin != "kafka://t/0@7" {
					t.Errorf("journalled %+v", events)
				}
				return out
			}, func(journal.Folded) {})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A message that a source gave up is read again by that source, and by no other
// where it does not run.
func TestAdminQuarantineRetryMessage(t *testing.T) {
	j := newJournal(t)
	_, err := j.Quarantine(t.Context(), []journal.Quarantined{
		{Origin: "sqs://trail/1", Reason: "denied", Err: "no", Raw: []byte("mended"), Source: "bucket", Message: true},
		{Origin: "sqs://trail/2", Reason: "denied", Err: "no", Raw: []byte("broken"), Source: "bucket", Message: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	retry := func(d manager) (Outcome, error) {
		return d.RetryQuarantine(t.Context(), Selection{All: true})
	}
	for way, d := range managers(t, j) {
		if o, err := retry(d); err == nil || !strings.Contains(err.Error(), "only source bucket can read its quarantined messages") {
			t.Errorf("%s: %+v, %v", way, o, err)
		}
	}
	var asked []string
	admin := NewJournalAdmin(j)
	admin.again = func(_ context.Context, source, message string) error {
		asked = append(asked, source+" "+message)
		if message == "broken" {
			return errors.New("still denied")
		}
		return nil
	}
	o, err := retry(overNetwork(t, admin))
	if err != nil || o.Done != 1 || o.Messages != 1 || len(o.Still) != 1 || len(asked) != 2 || !strings.HasPrefix(asked[0], "bucket ") {
		t.Errorf("%+v, %v, asked %v", o, err, asked)
	}
	left, err := j.QuarantineRecords()
	if err != nil || len(left) != 1 || string(left[0].Raw) != "broken" {
		t.Errorf("left %+v, %v", left, err)
	}
}

// A list that is cut short does not look whole, and a command that loses
// interest leaves nothing running.
func TestAdminListCutShort(t *testing.T) {
	for way := range managers(t, newJournal(t)) {
		t.Run(way, func(t *testing.T) {
			j := newJournal(t)
			withDead(t, j, adminStep+1, "a")
			d := managers(t, j)[way]
			enough := errors.New("enough")
			err := d.ListDeadLetters(t.Context(), Selection{}, func(DeadLetter) error { return enough })
			if !errors.Is(err, enough) {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			err = d.ListDeadLetters(ctx, Selection{}, func(DeadLetter) error { n++; cancel(); return nil })
			if err == nil && n <= adminStep {
				t.Errorf("%d of %d read, and no error", n, adminStep+1)
			}
		})
	}
	w := httptest.NewRecorder()
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Error("the answer was ended as if it were whole")
		}
	}()
	l := &stream{w: w}
	if _, err := l.Write([]byte("1\n")); err != nil {
		t.Fatal(err)
	}
	l.end(io.ErrUnexpectedEOF)
}

// HEAD answers with the headers, and reads nothing: a backup that runs meanwhile
// would refuse a second one.
func TestHeadReadsNothing(t *testing.T) {
	j := newJournal(t)
	api := NewJournalAdmin(j).Handler()
	head := func(h http.Handler, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, path, nil))
		return w
	}
	asked := false
	err := j.Backup(writer(func(b []byte) (int, error) {
		if w := head(api, backupPath); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		asked = true
		return len(b), nil
	}))
	if err != nil || !asked {
		t.Errorf("backup: %v; asked: %v", err, asked)
	}
	list := listing(func(context.Context, Selection, func(int) error) error { t.Error("listed"); return nil })
	if w := head(list, deadLettersPath); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
