package servicenow

import (
	"log/slog"
	"regexp"
	"slices"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// wrong finds mark-up that ServiceNow would show as HTML.
func wrong(text string) string {
	if regexp.MustCompile(`(?i)\[/?code`).MatchString(text) {
		return "HTML in a journal"
	}
	return ""
}

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true, Cases: true, HTTP: true,
		Verdicts: map[int]sinks.Verdict{200: sinks.VerdictMisconfigured, 404: sinks.VerdictMisconfigured},
		Start: func(t *testing.T) *sinktest.Server {
			s := newServer(t)
			f := sinktest.NewHTTPServer(t, s)
			f.Spare = sinktest.Read // each send looks first: TestLook
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{URL: f.URL, Username: "mfawatch", Password: "xyzzy-password"}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				FromFile: func(path string) (sinks.Sink, error) {
					return New(Config{URL: f.URL, Username: "mfawatch", PasswordFile: path}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				Holds:   func(a *processor.Alert) sinktest.Held { return holds(s.of(ticket.Key(a, ""))) },
				Inject:  f.Inject,
				Bodies:  f.Bodies,
				Secrets: []string{"xyzzy-password", sinktest.HushBasic},
				Wrong:   wrong,
			}
		},
	})
}

func holds(incidents []*record) (h sinktest.Held) {
	for _, i := range incidents {
		h.Cases++
		h.Notes += 1 + len(i.journal)
		h.Texts = append(h.Texts, i.fields["short_description"], i.fields["description"])
		h.Texts = append(h.Texts, i.journal...)
		h.State = "open"
		if len(i.journal) > 0 {
			h.State = "escalated"
		}
		if slices.Contains([]string{"6", "7", "8"}, i.fields["state"]) {
			h.State = "resolved"
			h.Notes++
			h.Texts = append(h.Texts, i.fields["close_notes"])
		}
	}
	return h
}

func TestEventsConform(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true, Cases: true, HTTP: true,
		Verdicts: map[int]sinks.Verdict{200: sinks.VerdictMisconfigured, 404: sinks.VerdictMisconfigured},
		Start: func(t *testing.T) *sinktest.Server {
			s := newServer(t)
			f := sinktest.NewHTTPServer(t, s)
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{URL: f.URL, Mode: "events", APIKey: "xyzzy-api-key"}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				FromFile: func(path string) (sinks.Sink, error) {
					return New(Config{URL: f.URL, Mode: "events", APIKeyFile: path}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				Holds:   func(a *processor.Alert) sinktest.Held { return s.alert(ticket.Key(a, "")) },
				Inject:  f.Inject,
				Bodies:  f.Bodies,
				Secrets: []string{"xyzzy-api-key"},
				Wrong:   wrong,
			}
		},
	})
}

// alert returns the alert that Event Management makes of the events with the
// key: a severity of 0 closes it, and opens none.
func (s *server) alert(key string) (h sinktest.Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := ""
	for _, e := range s.events {
		switch {
		case e["message_key"] != key || e["severity"] == "0" && (h.State == "" || h.State == "resolved"):
			continue
		case e["severity"] == "0":
			h.State = "resolved"
		case h.State == "" || h.State == "resolved":
			h.Cases++
			h.State = "open"
		case e["description"] != last:
			h.State = "escalated"
		}
		last = e["description"]
		h.Notes++
		h.Texts = append(h.Texts, e["description"], e["resource"], e["node"])
	}
	return h
}
