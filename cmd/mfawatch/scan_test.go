package main

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

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// R30: whatever the order, the doubling and the splitting over files, and
// however many read at once, the findings are the same bytes.
func TestScanIsDeterministic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lines := slices.Collect(bytes.Lines(demoLines))
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
		found := read(t.Context(), []string{dir}, nil, 1+random.IntN(8), &progress{})
		if n := found.stats.Records; n != int64(2*len(lines)) {
			t.Errorf("try %d: %d records, want %d", try, n, 2*len(lines))
		}
		history := exposure.Fold(found.events)
		var got strings.Builder
		if err := writeTable(&got, rows(history), false); err != nil {
			t.Fatal(err)
		}
		for _, a := range history.Alerts() {
			fmt.Fprintln(&got, a.ID, a.Step, a.Title, a.Summary)
		}
		if want == "" {
			want = got.String()
		}
		if got.String() != want {
			t.Fatalf("try %d tells\n%s\nwant\n%s", try, got.String(), want)
		}
	}
}

// What is told of unreadable parts is bounded and does not depend on the order.
func TestBadIsBoundedAndOrdered(t *testing.T) {
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("part %03d", i))
	}
	var workers [4]bad
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(100) {
		workers[i%7%4].add(want[i])
	}
	var all bad
	for i := range workers {
		all.merge(&workers[i])
	}
	if all.total != 100 || !slices.Equal(all.first, want[:maxBad]) {
		t.Errorf("%d, first %q", all.total, all.first)
	}
}

// A read that nobody answers ends with the context.
func TestReadIsInterruptible(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // ends whoever waits in the read
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan *found)
	go func() { ended <- read(ctx, []string{"-"}, r, 2, &progress{}) }()
	if _, err := w.Write(demoLines[:2000]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if f := <-ended; f.files > 1 || f.failures.total != 0 {
		t.Errorf("%d files, failures %q", f.files, f.failures.first)
	}
}

// The bundled trail names nobody real, is in order, and is read without a flaw.
func TestDemoTrail(t *testing.T) {
	records, err := readTrail()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var last time.Duration
	for i, r := range records {
		if r.after < last {
			t.Errorf("record %d comes before the one before it", i)
		}
		last = r.after
		if text := r.at(start); bytes.Contains(text, []byte(`"2026-`)) {
			t.Errorf("record %d keeps a time: %s", i, text)
		}
	}
	if last > 12*time.Second {
		t.Errorf("the trail takes %v", last)
	}
	var v struct{ reader }
	stats := trail.NewScanner().ScanBytes(trail.Place("demo"), demoLines, &v)
	if stats.Records != int64(len(records)) || v.one.unreadable.total != 0 {
		t.Errorf("%d of %d records read, unreadable: %q", stats.Records, len(records), v.one.unreadable.first)
	}
	for _, e := range v.one.events {
		if ip := e.Actor.SourceIP; e.Account != "111122223333" || !strings.HasPrefix(ip, "192.0.2.") &&
			!strings.HasPrefix(ip, "198.51.100.") && !strings.HasPrefix(ip, "203.0.113.") && ip != "AWS Internal" {
			t.Errorf("event %s: account %s, address %s", e.ID, e.Account, ip)
		}
	}
}

func TestTableKeepsItsColumns(t *testing.T) {
	since := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	var all []row
	for _, user := range []string{"bob", "日本語の名前", "ana\u0301", "\x1b[31mred\u202e", strings.Repeat("x", 500), strings.Repeat("界", 40)} {
		all = append(all, newRow(exposure.High, since, "111122223333", userName(user, false), "MFA off", "(self)", "open", ""))
	}
	var out strings.Builder
	if err := writeTable(&out, all, false); err != nil {
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

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 45 * time.Second: "45s", time.Minute: "1m", 190 * time.Second: "3m10s",
		2*time.Hour + 5*time.Minute + 9*time.Second: "2h5m", 24 * time.Hour: "1d", 76 * time.Hour: "3d4h", 24*time.Hour + time.Second: "1d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 2_500_000: "2.5 MB", 3_000_000_000: "3.0 GB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	if got := count(1, "match") + ", " + count(2, "match") + ", " + count(0, "alert"); got != "1 match, 2 matches, 0 alerts" {
		t.Error(got)
	}
}
