package web

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// The journal can be read in the cluster while replicas run, and changed while none
// does.
func TestOfflineAdmin(t *testing.T) {
	const n = 10
	all := startGroup(t, n)
	ctx, c := t.Context(), all[0].Config().Journal.Shared
	open := func(change bool) (*Admin, error) {
		c.Partitions = 1 // that of the topics counts
		o, err := shard.OpenOffline(ctx, c, t.TempDir(), change)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		})
		return NewOfflineAdmin(o), nil
	}
	counts := func(a *Admin) (exposures, alerts, dead, kept int) {
		t.Helper()
		page, err := a.ListExposures(ctx, ExposureFilter{States: []string{StateOpen}})
		if err != nil {
			t.Fatal(err)
		}
		list, err := a.ListAlerts(ctx, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.ListDeadLetters(ctx, Selection{}, func(DeadLetter) error { dead++; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := a.ListQuarantine(ctx, Selection{}, func(journal.Quarantined) error { kept++; return nil }); err != nil {
			t.Fatal(err)
		}
		return len(page.Exposures), len(list.Alerts), dead, kept
	}
	a, err := open(false)
	if err != nil {
		t.Fatal(err)
	}
	if x, alerts, dead, kept := counts(a); x != n || alerts != n || dead != n || kept != 2 {
		t.Errorf("read: %d exposures, %d alerts, %d dead letters, %d quarantined", x, alerts, dead, kept)
	}
	if _, err := a.DropQuarantine(ctx, Selection{All: true}); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a change of what is read: %v", err)
	}
	if _, err := open(true); err == nil || !strings.Contains(err.Error(), "3 replicas run: stop them first") {
		t.Errorf("a change while replicas run: %v", err)
	}
	for _, r := range all {
		r.stop()
	}
	if a, err = open(true); err != nil {
		t.Fatal(err)
	}
	if o, err := a.DropDeadLetters(ctx, Selection{All: true}); err != nil || o.Done != n {
		t.Errorf("drop: %+v, %v", o, err)
	}
	if o, err := a.DropQuarantine(ctx, Selection{All: true}); err != nil || o.Done != 2 {
		t.Errorf("drop: %+v, %v", o, err)
	}
	page, err := a.ListExposures(ctx, ExposureFilter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.CloseExposure(ctx, page.Exposures[0].ID, Closing{By: "ann", Note: "seen"}); err != nil {
		t.Errorf("close: %v", err)
	}
	if a, err = open(false); err != nil {
		t.Fatal(err)
	}
	if _, alerts, dead, kept := counts(a); alerts != n || dead != 0 || kept != 0 {
		t.Errorf("after the changes: %d alerts, %d dead letters, %d quarantined", alerts, dead, kept)
	}
}
