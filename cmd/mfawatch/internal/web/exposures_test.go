package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var exposureTime = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func foldAll(t testing.TB, j *journal.Journal) {
	t.Helper()
	fold := func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		return alerting.Notify(events, st, now, exposure.Policy{})
	}
	if _, err := j.Fold(t.Context(), exposureTime.Add(time.Hour), fold, nil); err != nil {
		t.Fatal(err)
	}
}

// withExposures journals exposures of the users, a minute after one another. The
// name says what follows: "+" MFA comes back.
func withExposures(t testing.TB, j *journal.Journal, users ...string) {
	t.Helper()
	if err := j.Register("pager"); err != nil {
		t.Fatal(err)
	}
	var events []*trail.Event
	for i, user := range users {
		name, back := strings.CutSuffix(user, "+")
		e := &trail.Event{ID: fmt.Sprint("e", i), Name: trail.DeactivateMFADevice, Source: trail.SourceIAM, Partition: "aws", Account: "111122223333", User: name,
			Serial: "arn:aws:iam::111122223333:mfa/" + name, Time: exposureTime.Add(time.Duration(i) * time.Minute)}
		events = append(events, e)
		if back {
			other := *e
			other.ID, other.Name, other.Time, other.Actor.Self = e.ID+"+", trail.EnableMFADevice, e.Time.Add(5*time.Second), true
			events = append(events, &other)
		}
	}
	for some := range slices.Chunk(events, 1) {
		if _, err := j.Append(t.Context(), some); err != nil {
			t.Fatal(err)
		}
		foldAll(t, j)
	}
}

func TestListExposures(t *testing.T) {
	j := newJournal(t)
	withExposures(t, j, "bob", "eve+", "dan", trail.RootUser, "zoe+")
	for way, m := range managers(t, j) {
		list := func(f ExposureFilter) string {
			t.Helper()
			var got []string
			for {
				page, err := m.ListExposures(t.Context(), f)
				if err != nil {
					return err.Error()
				}
				for _, x := range page.Exposures {
					got = append(got, x.User+" "+x.State+" "+string(x.Severity))
				}
				if f.After = page.Next; f.After == "" {
					return strings.Join(got, ", ")
				}
				got = append(got, "…")
			}
		}
		for _, f := range []struct {
			filter ExposureFilter
			want   string
		}{
			{ExposureFilter{}, "zoe resolved high, AWS ROOT USER open critical, dan open high, eve resolved high, bob open high"},
			{ExposureFilter{States: []string{"open"}}, "AWS ROOT USER open critical, dan open high, bob open high"},
			{ExposureFilter{States: []string{"resolved", "open"}, Limit: 2}, "zoe resolved high, AWS ROOT USER open critical, …, dan open high, eve resolved high, …, bob open high"},
			{ExposureFilter{States: []string{"suspect"}}, ""},
			{ExposureFilter{Severities: []string{"critical", "low"}}, "AWS ROOT USER open critical"},
			{ExposureFilter{User: "Root"}, "AWS ROOT USER open critical"},
			{ExposureFilter{User: "EVE"}, "eve resolved high"},
			{ExposureFilter{Account: "111122223333", States: []string{"resolved"}}, "zoe resolved high, eve resolved high"},
			{ExposureFilter{Account: "444455556666"}, ""},
			{ExposureFilter{States: []string{"shut"}}, `state: unknown "shut"; known are open, suspect, resolved, reduced`},
			{ExposureFilter{Severities: []string{"grave"}}, `severity: unknown "grave"`},
			{ExposureFilter{Limit: 2000}, "limit: want 1 to 1000, got "},
			{ExposureFilter{After: "yesterday"}, "after: want the value of next in the page before"},
		} {
			if got := list(f.filter); !strings.HasPrefix(got, f.want) || f.want == "" && got != "" {
				t.Errorf("%s: %+v: %s, want %s", way, f.filter, got, f.want)
			}
		}
	}
}

func TestShowAndCloseExposure(t *testing.T) {
	for _, way := range []string{"network", "within"} {
		j := newJournal(t)
		withExposures(t, j, "bob", "eve+")
		m := managers(t, j)[way]
		page, err := m.ListExposures(t.Context(), ExposureFilter{})
		if err != nil || len(page.Exposures) != 2 {
			t.Fatalf("%s: %+v, %v", way, page, err)
		}
		eve, bob := page.Exposures[0].ID, page.Exposures[1].ID
		if err := j.Done("pager", outbox.Result{Number: 1, Attempts: 2, Receipt: "incident 7"}); err != nil {
			t.Fatal(err)
		}
		story, err := m.ShowExposure(t.Context(), bob)
		if err != nil || story.User != "bob" || story.State != StateOpen || len(story.Alerts) != 1 {
			t.Fatalf("%s: %+v, %v", way, story, err)
		}
		if d := story.Alerts[0].Deliveries; len(d) != 1 || !strings.HasSuffix(DeliveryText(d[0], output.Locale{}), ", attempt 2: incident 7") {
			t.Errorf("%s: %+v", way, d)
		}
		var missing NotFound
		if _, err := m.ShowExposure(t.Context(), "../x?y"); !errors.As(err, &missing) || !strings.Contains(err.Error(), "no exposure has the ID ../x?y") {
			t.Errorf("%s: unknown: %v", way, err)
		}

		long := strings.Repeat("x", 501)
		for _, f := range []struct {
			id   string
			c    Closing
			want string
		}{
			{bob, Closing{"", "seen"}, "by: want the name"},
			{bob, Closing{"ann", " "}, "note: want what was found"},
			{bob, Closing{"ann", long}, "at most 500 bytes"},
			{eve, Closing{"ann", "seen"}, "no need: the exposure is resolved"},
			{"none", Closing{"ann", "seen"}, "no exposure has the ID none"},
			{bob, Closing{"ann", "seen with bob"}, ""},
		} {
			err := m.CloseExposure(t.Context(), f.id, f.c)
			if f.want == "" && err != nil || f.want != "" && (err == nil || !strings.Contains(err.Error(), f.want)) {
				t.Errorf("%s: close %s %+v: %v, want %q", way, f.id, f.c, err, f.want)
			}
		}
		foldAll(t, j)
		story, err = m.ShowExposure(t.Context(), bob)
		if err != nil || story.State != StateResolved || story.Resolution != exposure.Closed || story.ResolvedAt == nil || story.Severity != exposure.High {
			t.Errorf("%s: %+v, %v", way, story.Exposure, err)
		}
		if text := story.Alerts[0].Alert.Title + story.Alerts[0].Alert.Summary; !strings.Contains(text, "closed by ann") || !strings.Contains(text, "seen with bob") {
			t.Errorf("%s: the alert says %s", way, text)
		}
	}
}

// A request to close that is no Closing is refused, and ends nothing.
func TestCloseBodies(t *testing.T) {
	j := newJournal(t)
	withExposures(t, j, "bob")
	c := overNetwork(t, NewJournalAdmin(j))
	for _, body := range []string{"", "{", `[]`, `{"by":"ann","note":"x","force":true}`, `{"by":"` + strings.Repeat("x", 20<<10) + `"}`} {
		_, err := c.send(context.Background(), http.MethodPost, exposuresPath+"/"+j.Open()[0].ID+"/close", nil, []byte(body))
		if err == nil || !strings.Contains(err.Error(), "want a body such as") {
			t.Errorf("%.50s: %v", body, err)
		}
	}
}

func TestDeliveryText(t *testing.T) {
	for want, d := range map[string]outbox.Delivery{
		"delivered at 2026-05-01 08:00:00 UTC":                                     {State: outbox.StateDelivered, Time: &exposureTime, Attempts: 1},
		"pending":                                                                  {State: outbox.StatePending},
		"pending after 3 attempts: connection refused":                             {State: outbox.StatePending, Attempts: 3, Why: "connection refused"},
		"held until 2026-05-01 08:00:00 UTC: routes[1] notifies it":                {State: outbox.StateHeld, Until: &exposureTime, Why: "routes[1] notifies it"},
		"suppressed at 2026-05-01 08:00:00 UTC: planned changes are for machines":  {State: outbox.StateSuppressed, Time: &exposureTime, Why: "planned changes are for machines"},
		"closed by person at 2026-05-01 08:00:00 UTC":                              {State: outbox.StateClosedByPerson, Time: &exposureTime},
		"dead letter at 2026-05-01 08:00:00 UTC after 7 attempts: no such channel": {State: outbox.StateDeadLetter, Time: &exposureTime, Attempts: 7, Why: "no such channel"},
	} {
		if got := DeliveryText(d, output.Locale{}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The alerts come in pages, the newest first. Those of several shards are in pages,
// too, each alert once, those of one shard in its order.
func TestListAlerts(t *testing.T) {
	one, other := newJournal(t), newJournal(t)
	withExposures(t, one, "bob", "eve", "dan")
	withExposures(t, other, "zoe", "kim")
	a := NewJournalAdmin(one)
	pages := func(limit int) (users []string, sizes []int) {
		for next := "first"; next != ""; {
			page, err := a.ListAlerts(t.Context(), strings.TrimPrefix(next, "first"), limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Alerts {
				users = append(users, *r.Alert.User)
			}
			next, sizes = page.Next, append(sizes, len(page.Alerts))
		}
		return users, sizes
	}
	if users, sizes := pages(2); !slices.Equal(users, []string{"dan", "eve", "bob"}) || !slices.Equal(sizes, []int{2, 1}) {
		t.Errorf("of a file: %v, %v", users, sizes)
	}
	a.numbered = func(yield func(int, *journal.Journal) bool) { _ = yield(3, one) && yield(7, other) }
	for limit := 1; limit <= 6; limit++ {
		users, sizes := pages(limit)
		if len(users) != 5 || slices.Max(sizes) > limit {
			t.Errorf("pages of %d: %v, %v", limit, users, sizes)
		}
		for _, of := range [][]string{{"dan", "eve", "bob"}, {"kim", "zoe"}} {
			if got := slices.DeleteFunc(slices.Clone(users), func(user string) bool { return !slices.Contains(of, user) }); !slices.Equal(got, of) {
				t.Errorf("pages of %d: %v, want %v in this order", limit, users, of)
			}
		}
	}
	for _, wrong := range []string{"0", "-1", "x", "3.", "3.0", ".1", "-2.1", "1.1,x", "1.1;2.2"} {
		if _, err := a.ListAlerts(t.Context(), wrong, 3); err == nil || err.Error() != "before: want the value of next in the page before" {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
