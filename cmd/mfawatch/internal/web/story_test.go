package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// A record is shown with its levels indented, and one that is nested as deep as
// records may be takes no more room on the page than its size allows.
func TestStoryIndentsRecords(t *testing.T) {
	shown := func(record string) string {
		return newStoryAlert(outbox.Recorded{Alert: &exposure.Alert{Record: []byte(record)}}, message.Wording{}, output.Locale{}).Record
	}
	want := `{
  "a": [
    1,
    {}
  ],
  "b": {
    "c": "}{"
  }
}`
	if got := shown(`{"a":[1,{}],"b":{"c":"}{"}}`); got != want {
		t.Errorf("got %s", got)
	}
	const levels = 255
	deep := strings.Repeat("[", levels) + "1" + strings.Repeat(",1", (pageRecord-2*levels-1)/2) + strings.Repeat("]", levels)
	if got := shown(deep); !strings.Contains(got, "1,\n") || len(got) > 16*pageRecord {
		t.Errorf("a record of %d bytes takes %d on the page", len(deep), len(got))
	}
	if got := shown(`"` + strings.Repeat("x", pageRecord) + `"`); !strings.HasPrefix(got, "Too large for this page (65.5 kB)") {
		t.Errorf("of a record that is too large: %.100s", got)
	}
}

// A story shows the newest alerts, and how to close an exposure that is open, as a
// command that a shell reads as one, even if an attacker chose the ID.
func TestStoryOfManyAlerts(t *testing.T) {
	s, p := stillPages(t, true)
	const id = "00112233445566778899aabbccddeeff"
	fold := func(open []exposure.Open, alerts ...*exposure.Alert) {
		t.Helper()
		if _, err := s.j.Append(t.Context(), []*trail.Event{{ID: fmt.Sprint("event", len(open), len(alerts)), Name: trail.EnableMFADevice, Account: "444455556666", User: "bob", Time: exposureTime}}); err != nil {
			t.Fatal(err)
		}
		_, err := s.j.Fold(t.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
			return alerting.Outcome{Open: open, Alerts: alerts}
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	var alerts []*exposure.Alert
	of := id
	for i := range pageSteps + 1 {
		alerts = append(alerts, &exposure.Alert{ID: fmt.Sprint("alert", i), Exposure: &of, Step: exposure.Opened, Severity: exposure.High, Title: fmt.Sprintf("alert number %d.", i), Time: exposureTime.Add(time.Duration(i) * time.Second)})
	}
	open := exposure.Open{ID: id, Account: "444455556666", User: "bob", Severity: exposure.High, OpenedAt: exposureTime}
	const command = "<code>mfawatch exposures close " + id + " --by NAME --note TEXT</code>"
	fold([]exposure.Open{open}, alerts[:pageSteps]...)
	if body := shown(t, p, "/exposures/"+id); strings.Contains(body, "Older alerts") || strings.Count(body, "<article") != pageSteps || !strings.Contains(body, command) {
		t.Errorf("of %d alerts:\n%.2000s", pageSteps, body)
	}
	open.Suspect = true
	fold([]exposure.Open{open}, alerts[pageSteps])
	body := shown(t, p, "/exposures/"+id)
	if !strings.Contains(body, "Older alerts are not shown.") || strings.Count(body, "<article") != pageSteps || strings.Contains(body, "alert number 0.") || !strings.Contains(body, fmt.Sprintf("alert number %d.", pageSteps)) || !strings.Contains(body, command) {
		t.Errorf("of %d alerts:\n%.2000s", pageSteps+1, body)
	}
	fold(nil)
	if body := shown(t, p, "/exposures/"+id); strings.Contains(body, "exposures close") {
		t.Errorf("of an exposure that is over:\n%.2000s", body)
	}
	open.ID = `x'; <b>$(reboot)`
	fold([]exposure.Open{open})
	if body, want := shown(t, p, "/exposures/"+url.PathEscape(open.ID)), "exposures close "+template.HTMLEscapeString(`'x'\''; <b>$(reboot)'`)+" --by"; !strings.Contains(body, want) {
		t.Errorf("no %s in\n%.2000s", want, body)
	}
}
