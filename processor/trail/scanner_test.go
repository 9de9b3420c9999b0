package trail

import (
	"strings"
	"testing"
)

// found collects what a Scanner reports.
type found struct {
	events     []*Event
	unreadable []Unreadable
}

func (f *found) Event(e *Event)          { f.events = append(f.events, e) }
func (f *found) Unreadable(u Unreadable) { f.unreadable = append(f.unreadable, u) }

func (f *found) names() string {
	var names []string
	for _, e := range f.events {
		names = append(names, e.Name+":"+e.User)
	}
	return strings.Join(names, " ")
}

func (f *found) reasons() string {
	var reasons []string
	for _, u := range f.unreadable {
		reasons = append(reasons, string(u.Reason))
	}
	return strings.Join(reasons, " ")
}

// scanBytes scans doc in memory and as a stream, checks that both find the
// same, and returns it.
func scanBytes(t *testing.T, doc string) (*found, Stats) {
	t.Helper()
	var whole, streamed found
	s := NewScanner()
	stats := s.ScanBytes(Place("test"), []byte(doc), &whole)
	other, err := s.Scan(Place("test"), strings.NewReader(doc), &streamed)
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	if whole.names() != streamed.names() || whole.reasons() != streamed.reasons() || stats != other {
		t.Errorf("in memory: %s (%s) %+v; as a stream: %s (%s) %+v", whole.names(), whole.reasons(), stats,
			streamed.names(), streamed.reasons(), other)
	}
	return &whole, stats
}
