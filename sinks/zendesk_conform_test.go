package sinks

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
)

func TestZendeskConforms(t *testing.T) {
	conforms(t, conformant{
		people: true, cases: true, http: true,
		verdicts: map[int]verdict{404: misconfigured, 409: retry},
		start: func(t *testing.T) *conformServer {
			z := newZdServer(t)
			f := newFaultyServer(t, z)
			f.spare = ticketRead // each send looks first: TestZendeskLook
			return &conformServer{
				sink: func() (Sink, error) {
					return NewZendesk(ZendeskConfig{URL: f.URL, Email: "bot@example.net", Token: "xyzzy-token"}, Wording{}, slog.New(slog.DiscardHandler))
				},
				holds:   func(a *processor.Alert) held { return zdHolds(z.of(ticketKey(a, ""))) },
				inject:  f.inject,
				bodies:  f.bodies,
				secrets: []string{"xyzzy-token", "Ym90QGV4YW1wbGUubmV0L3Rva2VuOnh5enp5LXRva2Vu"},
				wrong:   zdWrong,
			}
		},
	})
}

// zdWrong finds what Zendesk would replace in a comment, or show as mark-up.
func zdWrong(text string) string {
	switch {
	case regexp.MustCompile(`\{[{%]`).MatchString(text):
		return "a placeholder"
	case strings.HasPrefix(text, "<!--html-->") && strings.ContainsAny(strings.ReplaceAll(text[len("<!--html-->"):], "<br>", ""), "<>"):
		return "mark-up"
	}
	return ""
}

func zdHolds(tickets []*zdRecord) (h held) {
	for _, t := range tickets {
		h.cases++
		h.notes += len(t.comments)
		h.texts = append(h.texts, t.subject)
		for _, c := range t.comments {
			h.texts = append(h.texts, "<!--html-->"+c, zdPlain(c))
		}
		switch {
		case t.status == "solved" || t.status == "closed":
			h.state = "resolved"
		case len(t.comments) > 1:
			h.state = "escalated"
		default:
			h.state = "open"
		}
	}
	return h
}
