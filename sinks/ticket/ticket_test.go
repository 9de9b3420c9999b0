package ticket

import (
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

// A mark is not found in that of another alert.
func TestTicketMark(t *testing.T) {
	a := &processor.Alert{ID: "5f2c-opened"}
	for text, want := range map[string]bool{
		"mfawatch alert 5f2c-opened":                                    true,
		"text\n\nmfawatch alert 5f2c-opened\n\nmore":                    true,
		"mfawatch alert 5f2c-opened2":                                   false,
		"mfawatch alert 5f2c-opened-r1 and mfawatch alert 5f2c-opened,": true,
		"mfawatch alert 5f2c":                                           false,
		"5f2c-opened":                                                   false,
	} {
		if Marked(text, a) != want {
			t.Errorf("%q: want %t", text, want)
		}
	}
}
