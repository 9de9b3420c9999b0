package zendesk

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true, Cases: true, HTTP: true,
		Verdicts: map[int]sinks.Verdict{200: sinks.VerdictMisconfigured, 404: sinks.VerdictMisconfigured, 409: sinks.VerdictRetry},
		Start: func(t *testing.T) *sinktest.Server {
			z := newServer(t)
			f := sinktest.NewHTTPServer(t, z)
			f.Spare = sinktest.Read // each send looks first: TestLook
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{URL: f.URL, Email: "bot@example.net", Token: "xyzzy-token"}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				FromFile: func(path string) (sinks.Sink, error) {
					return New(Config{URL: f.URL, Email: "bot@example.net", TokenFile: path}, message.Wording{}, slog.New(slog.DiscardHandler))
				},
				Holds:   func(a *processor.Alert) sinktest.Held { return holds(z.of(ticket.Key(a, ""))) },
				Inject:  f.Inject,
				Bodies:  f.Bodies,
				Secrets: []string{"xyzzy-token", "Ym90QGV4YW1wbGUubmV0L3Rva2VuOnh5enp5LXRva2Vu"},
				Wrong:   wrong,
			}
		},
	})
}

// wrong finds what Zendesk would replace in a comment, or show as mark-up.
func wrong(text string) string {
	switch {
	case regexp.MustCompile(`\{[{%]`).MatchString(text):
		return "a placeholder"
	case strings.HasPrefix(text, "<!--html-->") && strings.ContainsAny(strings.ReplaceAll(text[len("<!--html-->"):], "<br>", ""), "<>"):
		return "mark-up"
	}
	return ""
}

func holds(tickets []*record) (h sinktest.Held) {
	for _, t := range tickets {
		h.Cases++
		h.Notes += len(t.comments)
		h.Texts = append(h.Texts, t.subject)
		for _, c := range t.comments {
			h.Texts = append(h.Texts, "<!--html-->"+c, plainText(c))
		}
		switch {
		case t.status == "solved" || t.status == "closed":
			h.State = "resolved"
		case len(t.comments) > 1:
			h.State = "escalated"
		default:
			h.State = "open"
		}
	}
	return h
}
