package alerting

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Titles and summaries are one bounded line, whatever a record holds.
func TestHostileText(t *testing.T) {
	evil := "a\n\u202E\x1b]0;x\x07" + strings.Repeat("z\u200B", 5000) + "\xff"
	yes := false
	names := slices.Collect(maps.Keys(changeTitles))
	names = slices.AppendSeq(names, maps.Values(verbs))
	names = append(names, trail.PathSeen, trail.Closed, trail.DeleteUserPolicy, trail.DeleteSSHPublicKey, trail.DeleteSigningCertificate)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if exposure.Rank(&trail.Event{Name: name}) == 0 {
			t.Errorf("%s is not folded", name)
		}
		for _, code := range []string{"", evil} {
			events := script(t, "0 deactivate bob serial=A")
			e := &trail.Event{ID: evil, Time: at(5), Name: name, Partition: evil, Account: evil, Region: evil, User: evil, NewUser: evil, Serial: evil,
				Detail: evil, ErrorCode: code, MFAUsed: &yes, Origin: evil, Raw: []byte("{broken"),
				Actor: trail.Actor{Type: evil, ARN: evil, Name: evil, AccessKeyID: evil, SourceIP: evil, UserAgent: evil}}
			before := *e
			before.ID, before.Name, before.Time, before.ErrorCode = "x", trail.DeactivateMFADevice, at(0), ""
			for _, a := range Notify(append(events, e, &before), State{}, at(9000), exposure.DefaultPolicy()).Alerts {
				for _, s := range []string{a.Title, a.Summary, a.Advice} {
					if len(s) > 2500 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Errorf("%s %s: %d bytes: %q", name, a.Step, len(s), s)
					}
				}
				if asJSON(t, a) == "" {
					t.Error("does not encode")
				}
			}
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 59 * time.Second: "59 seconds", time.Minute: "1 minute", 15 * time.Minute: "15 minutes",
		61 * time.Second: "1 minute 1 second", 4 * time.Hour: "4 hours", 90 * time.Minute: "1 hour 30 minutes",
		24 * time.Hour: "1 day", 50 * time.Hour: "2 days 2 hours", 3*time.Hour + 5*time.Second: "3 hours",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
