package sinktest

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// FuzzTicketText wants, whatever the alert, that the text of a ticket keeps its bound,
// ends with the mark of its alert, and has no mark-up of the channel. The channel makes
// text harmless; wrong matches its mark-up.
func FuzzTicketText(f *testing.F, harmless func(string) string, wrong *regexp.Regexp) {
	for _, text := range HostileTexts {
		f.Add(text, "id")
	}
	f.Add("[code][/code][[code]code] [ code] {{{%{%", "a-b")
	own, err := (message.Templates{"note": "{{.Alert.Account}}\n{{.Title}}"}).Parse("note")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, id string) {
		a := Story("bob")[0]
		Spoil(a, text)
		a.ID = id
		for _, with := range []message.Texts{nil, own} {
			got := ticket.Text(message.Wording{}.Message(a), a, with, "note", harmless, text)
			if len(got) > ticket.MaxText || !utf8.ValidString(got) || !ticket.Marked(got, a) || !strings.HasSuffix(got, ticket.Mark(a)) {
				t.Errorf("%d bytes: %.200q", len(got), got)
			}
			if body := strings.TrimSuffix(got, ticket.Mark(a)); wrong.MatchString(body) {
				t.Errorf("%q", wrong.FindString(body))
			}
		}
		if key := ticket.Key(&processor.Alert{ID: id}, text); strings.ContainsAny(key, "^=,& \n") || key == "" || len(key) > 100 {
			t.Errorf("key %q", key)
		}
	})
}

// FuzzTicketAnswers wants that no answer makes a panic, or a verdict that there is not.
// The channel reads what it listed, and returns its verdicts on a failure, one for each
// of its operations.
func FuzzTicketAnswers(f *testing.F, read func(body []byte), verdicts func(r httpsend.Reply, err error) []error) {
	f.Add(200, `{"result":[{"sys_id":{"value":"a","display_value":"b"},"number":"INC1","state":null}]}`)
	f.Add(422, `{"error":"RecordInvalid","details":{"base":[{"description":"Cause: is required"}]}}`)
	f.Add(403, `{"error":{"message":"Operation Failed","detail":"Data Policy Exception"}}`)
	f.Add(429, `{"error":1,"details":[]}`)
	f.Add(400, "[code]")
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := httpsend.Reply{Status: status, Header: http.Header{"X-Ratelimit-Reset": {body}, "Ratelimit-Reset": {body}, "Content-Type": {body}}, Body: []byte(body)}
		read(got.Body)
		_ = got.IsPage()
		err := httpsend.StatusError(status, got.Header, time.Now())
		if err == nil {
			return
		}
		for _, err := range verdicts(got, err) {
			if v, after := sinks.VerdictOf(err); v == sinks.VerdictDelivered || after < 0 || after > httpsend.MaxRetryAfter {
				t.Errorf("%s after %s", v, after)
			}
		}
	})
}
