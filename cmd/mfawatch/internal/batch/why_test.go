package batch

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// explained explains events of minutes after 08:00, each "minute name user
// [error]": one text for each, by its minute.
func explained(t *testing.T, settings string, w bucket.Wanted, events ...string) string {
	t.Helper()
	c, err := config.Load("test", []byte("sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout, format: text}, audit: {type: file, path: a}}\n"+settings), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	router, err := c.Router()
	if err != nil {
		t.Fatal(err)
	}
	found := &Found{}
	for _, text := range events {
		var minute int
		e := &trail.Event{Partition: "aws", Account: "111122223333", Source: trail.SourceIAM}
		_, _ = fmt.Sscan(text, &minute, &e.Name, &e.User, &e.ErrorCode) // the error is optional
		if e.User == "-" {
			e.User = ""
		}
		e.ID, e.Time = text, time.Date(2026, 5, 1, 8, minute, 0, 0, time.UTC)
		e.Serial, e.Actor = "arn:aws:iam::111122223333:mfa/"+e.User, trail.Actor{Type: "IAMUser", Name: "alice"}
		if e.Name == trail.EnableMFADevice {
			e.Actor = trail.Actor{Type: "IAMUser", Name: e.User, Self: true}
		}
		found.Events = append(found.Events, e)
	}
	var b bytes.Buffer
	for _, x := range Within(Explain(found, c, router, output.Locale{}), w) {
		if err := x.Write(&b, true, output.Locale{}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestWhyThereIsNoAlert(t *testing.T) {
	grace := "grace: 10m\n"
	for _, f := range []struct {
		name, settings string
		events         []string
		want           []string
	}{
		{"nothing was removed", "", []string{"0 EnableMFADevice bob"}, []string{"no alert  MFA was never removed from bob before it, in what was read"}},
		{"it was removed later", "", []string{"0 CreateAccessKey bob", "5 DeactivateMFADevice bob"}, []string{"no alert  MFA was never removed from bob before it"}},
		{"of somebody else", "", []string{"0 DeactivateMFADevice eve", "5 CreateAccessKey bob"}, []string{"no alert  MFA was never removed from bob before it"}},
		{"it is over", "", []string{"0 DeactivateMFADevice bob", "5 EnableMFADevice bob", "9 CreateAccessKey Bob"},
			[]string{"no alert  no exposure of Bob is open: the last ended at 2026-05-01 08:05:00 (enabled)"}},
		{"it is open", "", []string{"0 DeactivateMFADevice bob", "5 DeleteAccessKey bob"},
			[]string{"no alert  the exposure of bob is open since 2026-05-01 08:00:00, and this changes nothing"}},
		{"it waits", grace, []string{"0 DeactivateMFADevice bob"}, []string{"waits for the grace until 2026-05-01 08:10:00"}},
		{"it ends before", grace, []string{"0 DeactivateMFADevice bob", "5 EnableMFADevice bob"},
			[]string{"no alert  waits for the grace until 2026-05-01 08:10:00; the exposure ended before, at 2026-05-01 08:05:00"}},
		{"unknown", "", []string{"0 EnableMFADevice -"}, []string{"no alert  the record does not say whose device or credentials it concerns"}},
		{"a second attempt", "", []string{"0 DeactivateMFADevice bob AccessDenied", "5 DeactivateMFADevice bob AccessDenied"},
			[]string{"no alert  the call failed; it counts with the attempt before it"}},
		{"another call failed", "", []string{"0 CreateAccessKey bob AccessDenied"}, []string{"no alert  the call failed, and no device of bob was its target"}},
		{"a planned change", "planned_changes: [{user: bob, from: \"2026-05-01T07:00:00Z\", until: \"2026-05-01T09:00:00Z\", ticket: CHG-42, approver: ann}]\n", []string{"0 DeactivateMFADevice bob"},
			[]string{"planned change CHG-42", "console is not notified: planned changes are for machine sinks"}},
		{"a threshold", "routes: [{min_severity: critical}]\n", []string{"0 DeactivateMFADevice bob"}, []string{"console is not notified: routes[0] notifies it from critical on"}},
		{"a route", "routes: [{sinks: [audit]}]\n", []string{"0 DeactivateMFADevice bob"}, []string{"console is not notified: routes[0] notifies others"}},
	} {
		got := explained(t, f.settings, bucket.Wanted{}, f.events...)
		for _, want := range f.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", f.name, want, got)
			}
		}
	}
}

func TestExplainWithinARange(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 5, 0, 0, time.UTC)
	w := bucket.Wanted{Since: at, Until: at.Add(time.Minute), Accounts: []string{"1111*"}}
	got := explained(t, "", w, "0 DeactivateMFADevice bob", "5 CreateAccessKey bob", "6 EnableMFADevice bob")
	if strings.Count(got, "2026-05-01 08:") != 2+strings.Count(got, "is notified at") || !strings.Contains(got, "so far    opened at 2026-05-01 08:00:00") {
		t.Error(got)
	}
	w.Accounts = []string{"4444*"}
	if got := explained(t, "", w, "5 DeactivateMFADevice bob"); got != "" {
		t.Error(got)
	}
}

// The stories of a user's records share their memory: it grows with the records, not
// with their square.
func TestStoriesShareTheirMemory(t *testing.T) {
	all := make([]Explained, 100)
	for i := range all {
		all[i] = Explained{Time: time.Unix(int64(i), 0), User: "bob", Steps: []step{{Step: "opened"}}}
	}
	stories(all, output.Locale{})
	arrays := map[*string]bool{}
	for i, x := range all {
		if len(x.Story) != i {
			t.Fatalf("the story before record %d has %d steps", i, len(x.Story))
		}
		if i > 0 {
			arrays[&x.Story[0]] = true
		}
		_ = append(x.Story, "another") // which the next story does not see
	}
	if len(arrays) > 10 {
		t.Errorf("%d stories lie in %d arrays", len(all), len(arrays))
	}
	if last := all[99].Story; slices.Contains(last, "another") {
		t.Errorf("a story was overwritten: %q", last)
	}
}
