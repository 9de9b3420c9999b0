package shard

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// A journal file that was copied into Kafka and back knows the same events, alerts,
// references, dead letters and quarantined records, and accepts what comes next.
func TestCopy(t *testing.T) {
	t.Parallel()
	_, c := fake(t)
	dir := t.TempDir()
	open := func(name string) *journal.Journal {
		j, err := journal.Open(filepath.Join(dir, name), options())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return j
	}
	file := open("mfawatch.db")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(file.Register("a", "b"))
	for account := range 10 {
		_, err := file.Append(t.Context(), events(fmt.Sprint(account), 5))
		must(err)
	}
	_, err := file.Quarantine(t.Context(), []journal.Quarantined{{Origin: "x", Raw: []byte("{")}, {Origin: "y", Raw: []byte("[")}})
	must(err)
	if err := Import(t.Context(), c, filepath.Join(dir, "cache"), file); err == nil || !strings.Contains(err.Error(), "not folded") {
		t.Errorf("not folded: %v", err)
	}
	fold(t, file)
	if err := Import(t.Context(), c, filepath.Join(dir, "cache"), file); err == nil || !strings.Contains(err.Error(), "pending") {
		t.Errorf("pending: %v", err)
	}
	for n := range uint64(50) {
		must(file.Done("a", outbox.Result{Number: n + 1, Ref: fmt.Sprint("ticket-", n)}))
		if n%10 == 0 {
			must(file.Bury("b", outbox.DeadLetter{Number: n + 1, Cause: "no"}))
		} else {
			must(file.Done("b", outbox.Result{Number: n + 1}))
		}
	}
	must(Import(t.Context(), c, filepath.Join(dir, "cache"), file))
	if err := Import(t.Context(), c, filepath.Join(dir, "cache"), file); !errors.Is(err, ErrRefused) {
		t.Errorf("a second time: %v", err)
	}
	back := open("back.db")
	must(Export(t.Context(), c, filepath.Join(dir, "another"), back))

	sorted := func(ids []string) []string { slices.Sort(ids); return ids }
	if got, want := sorted(alerts(t, back)), sorted(alerts(t, file)); !slices.Equal(got, want) {
		t.Errorf("%d alerts, want %d", len(got), len(want))
	}
	dead := func(j *journal.Journal) (ids []string) {
		letters, err := j.DeadLetters("b")
		must(err)
		for _, d := range letters {
			ids = append(ids, d.Alert.ID)
		}
		return sorted(ids)
	}
	if got, want := dead(back), dead(file); !slices.Equal(got, want) || len(want) != 5 {
		t.Errorf("dead letters %q, want %q", got, want)
	}
	if records, err := back.QuarantineRecords(); err != nil || len(records) != 2 {
		t.Errorf("%d quarantined records, %v", len(records), err)
	}
	must(back.Register("a", "b"))
	must(back.Settled())
	for account := range 10 {
		if n, err := back.Append(t.Context(), events(fmt.Sprint(account), 6)); n != 1 || err != nil {
			t.Errorf("%d events are new, %v, want 1", n, err)
		}
	}
	fold(t, back)
	pending, err := back.Pending("a", 0, 100)
	must(err)
	if len(pending) != 10 {
		t.Errorf("%d alerts are pending, want 10", len(pending))
	}
	n, err := back.Requeue("b", deadNumbers(t, back)...)
	must(err)
	if n != 5 {
		t.Errorf("%d dead letters requeued", n)
	}
	must(back.Close())
	if err := open("back.db").Register("a"); err != nil { // verifies the file
		t.Error(err)
	}
}

// Events that are not journalled, or of which that is not known, are not left behind.
func TestExportLeavesNoEvent(t *testing.T) {
	f, c := fake(t)
	cl, err := quiet(c, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.alone(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Append(t.Context(), events("1", 1)); err != nil {
		t.Fatal(err)
	}
	export := func() error {
		to, err := journal.Open(filepath.Join(t.TempDir(), "to"), options())
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(Export(t.Context(), c, t.TempDir(), to), to.Close())
	}
	if err := export(); err == nil || !strings.Contains(err.Error(), "1 events or more are not journalled") {
		t.Errorf("an event was not read: %v", err)
	}
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: c.events(), Err: kerr.TopicAuthorizationFailed, Count: -1})
	if err := export(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("events cannot be read: %v", err)
	}
}

func deadNumbers(t *testing.T, j *journal.Journal) (numbers []uint64) {
	letters, err := j.DeadLetters("b")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range letters {
		numbers = append(numbers, d.Number)
	}
	return numbers
}
