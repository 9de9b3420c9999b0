package sinks

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
)

// Whatever is told, the text of a ticket keeps its bound, ends with the mark of
// its alert, and has no mark-up of the channel.
func FuzzZendeskText(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text, "id")
	}
	f.Add("[code][/code][[code]code] [ code] {{{%{%", "a-b")
	wrong := regexp.MustCompile(`\{[{%]`)
	f.Fuzz(func(t *testing.T, text, id string) {
		a := conformStory("bob")[0]
		conformSpoil(a, text)
		a.ID = id
		own, err := (Templates{"note": "{{.Alert.Account}}\n{{.Title}}"}).parse("note")
		if err != nil {
			t.Fatal(err)
		}
		for _, with := range []texts{nil, own} {
			got := ticketText(Wording{}.Message(a), a, with, "note", zdText, text)
			if len(got) > maxTicketText || !utf8.ValidString(got) || !marked(got, a) || !strings.HasSuffix(got, ticketMark(a)) {
				t.Errorf("%d bytes: %.200q", len(got), got)
			}
			if body := strings.TrimSuffix(got, ticketMark(a)); wrong.MatchString(body) {
				t.Errorf("%q", wrong.FindString(body))
			}
		}
		if key := ticketKey(&processor.Alert{ID: id}, text); strings.ContainsAny(key, "^=,& \n") || key == "" || len(key) > 100 {
			t.Errorf("key %q", key)
		}
	})
}

// No answer makes a panic, or a verdict that there is not.
func FuzzZendeskAnswers(f *testing.F) {
	f.Add(200, `{"result":[{"sys_id":{"value":"a","display_value":"b"},"number":"INC1","state":null}]}`)
	f.Add(422, `{"error":"RecordInvalid","details":{"base":[{"description":"Cause: is required"}]}}`)
	f.Add(403, `{"error":{"message":"Operation Failed","detail":"Data Policy Exception"}}`)
	f.Add(429, `{"error":1,"details":[]}`)
	f.Add(400, "[code]")
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := reply{status: status, header: http.Header{"X-Ratelimit-Reset": {body}, "Ratelimit-Reset": {body}, "Content-Type": {body}}, body: []byte(body)}
		var listed struct {
			Tickets []zdTicket `json:"tickets"`
		}
		_ = json.Unmarshal(got.body, &listed)
		_ = isPage(got)
		err := judgeStatus(status, got.header, time.Now())
		if err == nil {
			return
		}
		for what := range zdSolve + 1 {
			if v, after := judge(zdVerdict(what, got, err)); v == told || after < 0 || after > maxRetryAfter {
				t.Errorf("%s after %s", v, after)
			}
		}
	})
}
