package output

import (
	"bytes"
	"strings"
	"testing"
)

// A name's spaces, and what looks like them, make no columns of it.
func TestCellIsOneColumn(t *testing.T) {
	for text, want := range map[string]string{
		"bob":                   "bob",
		"sent by a person":      "sent by a person",
		"bob  resolved":         "bob \uFFFDresolved",
		"bob    resolved  info": "bob \uFFFD\uFFFD\uFFFDresolved \uFFFDinfo",
		"  bob":                 "\uFFFD\uFFFDbob",
		"bob\u2800\u2800ok":     "bob\uFFFD\uFFFDok",
		"bob\u00A0\u3000 ok":    "bob\uFFFD\uFFFD ok",
	} {
		got := Cell(text, 40)
		if got != want || strings.Contains(got, "  ") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	var b bytes.Buffer
	head := []string{"USER", "STATE"}
	if err := WriteCells(&b, head, []Row{{Cells: []string{Cell("bob  resolved", 28), "open"}}}, -1, false); err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(b.String(), "\n")
	if columns := strings.Split(strings.TrimSpace(row), "  "); len(columns) != len(head) {
		t.Errorf("%d columns in %q", len(columns), row)
	}
}

// A line that was laid out keeps its spaces.
func TestCutKeepsColumns(t *testing.T) {
	if got := Cut("bob   open", 40); got != "bob   open" {
		t.Errorf("got %q", got)
	}
	if got := Cut("bob   open", 8); got != "bob   o…" {
		t.Errorf("got %q", got)
	}
}
