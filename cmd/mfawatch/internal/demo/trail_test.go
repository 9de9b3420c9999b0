package demo

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The bundled trail names no real person, is in order, and is read without a flaw.
func TestDemoTrail(t *testing.T) {
	records, err := ReadTrail()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var last time.Duration
	for i, r := range records {
		if r.After < last {
			t.Errorf("record %d comes before the one before it", i)
		}
		last = r.After
		if text := r.At(start); bytes.Contains(text, []byte(`"2026-`)) {
			t.Errorf("record %d keeps a time: %s", i, text)
		}
	}
	if last > 12*time.Second {
		t.Errorf("the trail takes %v", last)
	}
	var v events
	stats := trail.NewScanner().ScanBytes(trail.Place("demo"), Lines, &v)
	if stats.Records != int64(len(records)) || v.unreadable != 0 {
		t.Errorf("%d of %d records read, unreadable: %q", stats.Records, len(records), v.reasons)
	}
	for _, e := range v.all {
		if ip := e.Actor.SourceIP; e.Account != "111122223333" || !strings.HasPrefix(ip, "192.0.2.") &&
			!strings.HasPrefix(ip, "198.51.100.") && !strings.HasPrefix(ip, "203.0.113.") && ip != "AWS Internal" {
			t.Errorf("event %s: account %s, address %s", e.ID, e.Account, ip)
		}
	}
}

// events is a visitor that keeps the events, and why others could not be read.
type events struct {
	all        []*trail.Event
	unreadable int
	reasons    []string
}

func (v *events) Event(e *trail.Event) { v.all = append(v.all, e) }

func (v *events) Unreadable(u trail.Unreadable) {
	v.unreadable++
	v.reasons = append(v.reasons, fmt.Sprint(u.Reason, u.Err))
}
