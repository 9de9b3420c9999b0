package web

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
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
