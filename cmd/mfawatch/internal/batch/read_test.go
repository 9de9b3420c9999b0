package batch

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// R30: whatever the order, the doubling and the splitting over files, and
// however many are read concurrently, the findings are the same bytes.
func TestScanIsDeterministic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lines := slices.Collect(bytes.Lines(demo.Lines))
	var want string
	for try := range 8 {
		dir := t.TempDir()
		files := make([][]byte, 1+random.IntN(12))
		for _, i := range random.Perm(2 * len(lines)) {
			f := &files[random.IntN(len(files))]
			*f = append(*f, lines[i%len(lines)]...)
		}
		for i, text := range files {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", random.IntN(1000)*100+i)), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		found := Read(t.Context(), []string{dir}, nil, 1+random.IntN(8), &output.Progress{})
		if n := found.Stats.Records; n != int64(2*len(lines)) {
			t.Errorf("try %d: %d records, want %d", try, n, 2*len(lines))
		}
		history := alerting.Fold(found.Events)
		var got strings.Builder
		if err := WriteTable(&got, Rows(history), false); err != nil {
			t.Fatal(err)
		}
		for _, a := range history.Alerts() {
			fmt.Fprintln(&got, a.ID, a.Step, a.Title, a.Summary)
		}
		if want == "" {
			want = got.String()
		}
		if got.String() != want {
			t.Fatalf("try %d gives\n%s\nwant\n%s", try, got.String(), want)
		}
	}
}

// The report of unreadable parts is bounded and does not depend on the order.
func TestBadIsBoundedAndOrdered(t *testing.T) {
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("part %03d", i))
	}
	var workers [4]Faults
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(100) {
		workers[i%7%4].add(want[i])
	}
	var all Faults
	for i := range workers {
		all.merge(&workers[i])
	}
	if all.Total != 100 || !slices.Equal(all.first, want[:maxFaults]) {
		t.Errorf("%d, first %q", all.Total, all.first)
	}
}

// A read without an answer ends with the context.
func TestReadIsInterruptible(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // ends the read that waits
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan *Found)
	go func() { ended <- Read(ctx, []string{"-"}, r, 2, &output.Progress{}) }()
	if _, err := w.Write(demo.Lines[:2000]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if f := <-ended; f.Files > 1 || f.Failures.Total != 0 {
		t.Errorf("%d files, failures %q", f.Files, f.Failures.first)
	}
}

func TestTableKeepsItsColumns(t *testing.T) {
	since := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	var all []output.Row
	for _, user := range []string{"bob", "日本語の名前", "ana\u0301", "\x1b[31mred\u202e", strings.Repeat("x", 500), strings.Repeat("界", 40)} {
		all = append(all, newRow(exposure.High, since, "111122223333", output.UserName(user, false), "MFA off", "(self)", "open", ""))
	}
	var out strings.Builder
	if err := WriteTable(&out, all, false); err != nil {
		t.Fatal(err)
	}
	var column int
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if strings.ContainsAny(line, "\x1b\u202e") {
			t.Errorf("line %d steers: %q", i, line)
		}
		before, _, _ := strings.Cut(line, "MFA off")
		if i == 0 {
			before, _, _ = strings.Cut(line, "WHAT")
			column = uniseg.StringWidth(before)
		}
		if w := uniseg.StringWidth(before); w != column || w > 70 {
			t.Errorf("line %d: column at %d, want %d: %s", i, w, column, line)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string][2]string{
		"2026-05-01":                {"2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z"},
		"2026-05-01T08:00:00Z":      {"2026-05-01T08:00:00Z", "2026-05-01T08:00:00Z"},
		"2026-05-01t10:00:00+02:00": {"2026-05-01T08:00:00Z", "2026-05-01T08:00:00Z"},
		"36h":                       {"2026-05-09T00:00:00Z", "2026-05-09T00:00:00Z"},
		"7d":                        {"2026-05-03T12:00:00Z", "2026-05-03T12:00:00Z"},
		"0s":                        {"2026-05-10T12:00:00Z", "2026-05-10T12:00:00Z"},
	} {
		for i, end := range []bool{false, true} {
			if got, ok := moment(text, now, end); !ok || got.Format(time.RFC3339) != want[i] {
				t.Errorf("%s, end %v: got %s, %v", text, end, got.Format(time.RFC3339), ok)
			}
		}
	}
	for _, text := range []string{"yesterday", "2026-5-1", "-7d", "2026-05-01 08:00", "7"} {
		if got, ok := moment(text, now, false); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}
