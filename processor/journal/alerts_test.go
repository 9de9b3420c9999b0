package journal

import (
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Every step and severity is kept beside the alert; and each entry of expected changes that an alert names is
// found, until the alert is pruned.
func TestStepsAndEntriesOfAlerts(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, event("1", "bob", 1))
	var alerts []*exposure.Alert
	for _, step := range exposure.Steps {
		for _, severity := range exposure.Severities {
			a := alert(event("1", "bob", len(alerts)))
			a.Step, a.Severity = step, severity
			if step == exposure.Reduced {
				a.Expected = &exposure.AlertPlannedChange{Entry: "entry-" + string(severity), Ticket: `"expected":{`}
			}
			alerts = append(alerts, a)
		}
	}
	mustFold(t, j, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: alerts}
	})
	pending, err := j.Pending("a", 0, 100)
	if err != nil || len(pending) != len(alerts) {
		t.Fatalf("%d pending, %v", len(pending), err)
	}
	for i, p := range pending {
		if want := alerts[i].Step; p.Step != want || p.Severity != alerts[i].Severity {
			t.Errorf("%s %s is pending as %q %s", alerts[i].Step, alerts[i].Severity, p.Step, p.Severity)
		}
	}
	entries, err := j.PlannedUsed()
	if err != nil || len(entries) != len(exposure.Severities) || !entries["entry-critical"] {
		t.Errorf("entries %v, %v", entries, err)
	}
}
