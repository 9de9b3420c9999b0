package sinks

import (
	"log/slog"
	"regexp"
	"slices"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

// snWrong finds mark-up that ServiceNow would show as HTML.
func snWrong(text string) string {
	if regexp.MustCompile(`(?i)\[/?code`).MatchString(text) {
		return "HTML in a journal"
	}
	return ""
}

func TestServiceNowConforms(t *testing.T) {
	conforms(t, conformant{
		people: true, cases: true, http: true,
		verdicts: map[int]verdict{404: misconfigured},
		start: func(t *testing.T) *conformServer {
			s := newSnServer(t)
			f := newFaultyServer(t, s)
			f.spare = ticketRead // each send looks first: TestServiceNowLook
			return &conformServer{
				sink: func() (Sink, error) {
					return NewServiceNow(ServiceNowConfig{URL: f.URL, Username: "mfawatch", Password: "xyzzy-password"}, Wording{}, slog.New(slog.DiscardHandler))
				},
				holds:   func(a *processor.Alert) held { return snHolds(s.of(ticketKey(a, ""))) },
				inject:  f.inject,
				bodies:  f.bodies,
				secrets: []string{"xyzzy-password", hushBasic},
				wrong:   snWrong,
			}
		},
	})
}

func snHolds(incidents []*snRecord) (h held) {
	for _, i := range incidents {
		h.cases++
		h.notes += 1 + len(i.journal)
		h.texts = append(h.texts, i.fields["short_description"], i.fields["description"])
		h.texts = append(h.texts, i.journal...)
		h.state = "open"
		if len(i.journal) > 0 {
			h.state = "escalated"
		}
		if slices.Contains([]string{"6", "7", "8"}, i.fields["state"]) {
			h.state = "resolved"
			h.notes++
			h.texts = append(h.texts, i.fields["close_notes"])
		}
	}
	return h
}

func TestServiceNowEventsConform(t *testing.T) {
	conforms(t, conformant{
		people: true, cases: true, http: true,
		verdicts: map[int]verdict{404: misconfigured},
		start: func(t *testing.T) *conformServer {
			s := newSnServer(t)
			f := newFaultyServer(t, s)
			return &conformServer{
				sink: func() (Sink, error) {
					return NewServiceNow(ServiceNowConfig{URL: f.URL, Mode: "events", APIKey: "xyzzy-api-key"}, Wording{}, slog.New(slog.DiscardHandler))
				},
				holds:   func(a *processor.Alert) held { return s.alert(ticketKey(a, "")) },
				inject:  f.inject,
				bodies:  f.bodies,
				secrets: []string{"xyzzy-api-key"},
				wrong:   snWrong,
			}
		},
	})
}

// alert is what Event Management makes of the events with the key: one alert
// that a severity of 0 closes, and that none opens with it.
func (s *snServer) alert(key string) (h held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := ""
	for _, e := range s.events {
		switch {
		case e["message_key"] != key || e["severity"] == "0" && (h.state == "" || h.state == "resolved"):
			continue
		case e["severity"] == "0":
			h.state = "resolved"
		case h.state == "" || h.state == "resolved":
			h.cases++
			h.state = "open"
		case e["description"] != last:
			h.state = "escalated"
		}
		last = e["description"]
		h.notes++
		h.texts = append(h.texts, e["description"], e["resource"], e["node"])
	}
	return h
}
