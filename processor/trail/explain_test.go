package trail

import (
	"strings"
	"testing"
)

type explainVisitor struct {
	events  []string
	ignored []Ignored
}

func (v *explainVisitor) Event(e *Event)        { v.events = append(v.events, e.ID) }
func (v *explainVisitor) Unreadable(Unreadable) {}
func (v *explainVisitor) Ignored(i Ignored)     { v.ignored = append(v.ignored, i) }

// A record that becomes no event is explained by the first test it failed.
func TestIgnored(t *testing.T) {
	for _, tt := range []struct{ name, with, want string }{
		{"R1", `"eventSource":"workmail.amazonaws.com","eventName":"DeleteUser"`, `eventSource is "workmail.amazonaws.com"; want iam.amazonaws.com, or of a sign-in signin.amazonaws.com`},
		{"a sign-in of another service", `"eventSource":"iam.amazonaws.com","eventName":"ConsoleLogin"`, `eventSource is "iam.amazonaws.com", which has no ConsoleLogin that is watched`},
		{"R2", `"eventSource":"iam.amazonaws.com","eventName":"DeleteUser","errorCode":"AccessDenied"`, `it failed ("AccessDenied"): of what failed only DeactivateMFADevice, `},
		{"R2, by its message", `"eventSource":"signin.amazonaws.com","eventName":"CheckMfa","errorMessage":"Failed authentication"`, `it failed ("Failed authentication"): `},
		{"of root alone", `"eventSource":"signin.amazonaws.com","eventName":"EmailUpdated","userIdentity":{"type":"IAMUser"}`, `userIdentity.type is "IAMUser"; want Root`},
		{"a guess at no user", `"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"},"errorMessage":"No username found in supplied account"`, `userIdentity.type is "IAMUser"; want IAMUser or Root`},
		{"R26", `"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"AssumedRole"}`, `userIdentity.type is "AssumedRole"; want IAMUser or Root: `},
		{"not let in", `"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"Root"},"responseElements":{"ConsoleLogin":"Pending"}`, `responseElements.ConsoleLogin is "Pending"; want Success`},
		{"an insight", `"eventSource":"iam.amazonaws.com","eventName":"DeleteUser","eventCategory":"Insight"`, `eventCategory is "Insight": a summary, not a call`},
	} {
		record := `{"eventID":"e1","eventTime":"2026-05-01T08:00:00Z","recipientAccountId":"111122223333",` + tt.with + `}`
		var v explainVisitor
		if _, err := NewScanner().Scan(At("topic", 7), strings.NewReader(`{"Records":[`+record+`]}`), &v); err != nil {
			t.Fatal(err)
		}
		if len(v.events) != 0 || len(v.ignored) != 1 || !strings.HasPrefix(v.ignored[0].Why, tt.want) {
			t.Errorf("%s: got %+v, events %v", tt.name, v.ignored, v.events)
			continue
		}
		if i := v.ignored[0]; i.ID != "e1" || i.Account != "111122223333" || i.Origin != "topic@7" || i.Time != "2026-05-01T08:00:00Z" || i.Name == "" {
			t.Errorf("%s: got %+v", tt.name, i)
		}
	}
}
