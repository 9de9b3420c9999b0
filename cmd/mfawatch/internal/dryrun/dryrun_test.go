package dryrun

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var rehearsalStart = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

// rehearsalEvent is something that happened to a user so many minutes after the
// beginning, delivered so many minutes later.
func rehearsalEvent(id, name, user string, minute, delay int) *trail.Event {
	at := rehearsalStart.Add(time.Duration(minute) * time.Minute)
	stamp := at.Add(time.Duration(delay) * time.Minute)
	no := false
	e := &trail.Event{
		ID: id, Time: at, Source: trail.SourceIAM, Name: name, Partition: "aws", Account: "111122223333", Region: "us-east-1", User: user,
		Actor: trail.Actor{Type: "IAMUser", Name: "alice", ARN: "arn:aws:iam::111122223333:user/alice"},
	}
	if delay > 0 {
		e.Origin = fmt.Sprintf("s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/%s111122223333_CloudTrail_us-east-1_%s_x.json.gz",
			stamp.Format("2006/01/02/"), stamp.Format("20060102T1504Z"))
	}
	if name == trail.EnableMFADevice { // the user's own
		e.Actor.Name, e.Actor.ARN, e.Actor.Self = user, "arn:aws:iam::111122223333:user/"+user, true
	}
	switch name {
	case trail.DeactivateMFADevice, trail.EnableMFADevice:
		e.Serial = "arn:aws:iam::111122223333:mfa/" + user
	case trail.ConsoleLogin:
		e.MFAUsed = &no
	}
	return e
}

// rehearsalLines lists the alerts with their sinks and times.
func rehearsalLines(all []*Alert) []string {
	var lines []string
	for _, t := range all {
		step := string(t.Alert.Step)
		if t.Alert.Escalation != nil {
			step += fmt.Sprint(*t.Alert.Escalation)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", t.At.Format("02 15:04"), *t.Alert.User, step))
	}
	return lines
}

// The clock steps through what arrived and what came due.
func TestRehearse(t *testing.T) {
	off, on, login := trail.DeactivateMFADevice, trail.EnableMFADevice, trail.ConsoleLogin
	never := rehearsalStart.AddDate(1, 0, 0)
	for _, tt := range []struct {
		name   string
		events []*trail.Event
		until  time.Time
		want   []string
	}{
		{"as it happened", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 0), rehearsalEvent("b", on, "bob", 10, 0)}, never,
			[]string{"01 08:00 bob opened", "01 08:10 bob resolved"}},
		{"as it was delivered", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 6), rehearsalEvent("b", on, "bob", 10, 4)}, never,
			[]string{"01 08:06 bob opened", "01 08:14 bob resolved"}},
		{"over before it was heard of", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 20), rehearsalEvent("b", on, "bob", 10, 5)}, never,
			[]string{"01 08:20 bob resolved"}},
		{"escalated meanwhile", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 6), rehearsalEvent("b", on, "bob", 300, 5)}, never,
			[]string{"01 08:06 bob opened", "01 08:15 bob escalated1", "01 12:00 bob escalated2", "01 13:05 bob resolved"}},
		{"open to the end of the range", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 6)}, rehearsalStart.Add(20 * time.Hour),
			[]string{"01 08:06 bob opened", "01 08:15 bob escalated1", "01 12:00 bob escalated2"}},
		{"delivered a day late", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 1500)}, rehearsalStart.AddDate(0, 0, 3),
			[]string{"02 09:00 bob opened", "02 09:00 bob escalated3"}},
		{"exploited, and somebody else", []*trail.Event{
			rehearsalEvent("a", off, "bob", 0, 5), rehearsalEvent("b", login, "bob", 3, 7), rehearsalEvent("c", login, "eve", 4, 6), rehearsalEvent("d", off, "eve", 5, 5),
		}, rehearsalStart.Add(14 * time.Minute),
			[]string{"01 08:05 bob opened", "01 08:10 bob exploited", "01 08:10 eve opened"}},
		{"twice, the later copy first", []*trail.Event{rehearsalEvent("a", off, "bob", 0, 9), rehearsalEvent("a", off, "bob", 0, 6)}, rehearsalStart.Add(14 * time.Minute),
			[]string{"01 08:06 bob opened"}},
		{"nothing", []*trail.Event{rehearsalEvent("a", on, "bob", 0, 6), rehearsalEvent("b", login, "bob", 0, 6)}, never, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rehearsalLines(Run(Arrivals(tt.events, Delivered), exposure.DefaultPolicy(), tt.until))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
	late := Run(Arrivals([]*trail.Event{rehearsalEvent("a", off, "bob", 0, 4320)}, Delivered), exposure.DefaultPolicy(), rehearsalStart.AddDate(0, 0, 4))
	if len(late) == 0 || !slices.Contains(late[0].Alert.Reasons, "late") {
		t.Errorf("got %v, want it late", late)
	}
}

// rehearsalStory returns events of a few users of two accounts in a month and a
// half.
func rehearsalStory(random *rand.Rand, n int) []*trail.Event {
	names := []string{trail.DeactivateMFADevice, trail.DeactivateMFADevice, trail.EnableMFADevice, trail.ConsoleLogin, trail.ConsoleLogin, trail.CheckMfa,
		trail.DeleteLoginProfile, trail.CreateAccessKey, trail.UpdateUser, trail.DeleteUser, trail.CreateUser, trail.DeleteVirtualMFADevice}
	users := []string{"ann", "Bob", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jon", trail.RootUser, ""}
	var events []*trail.Event
	for i := range n {
		e := rehearsalEvent(fmt.Sprintf("e%03d", i), names[random.IntN(len(names))], users[random.IntN(len(users))], random.IntN(45*24*60), random.IntN(30)*random.IntN(2)*(1+99*(random.IntN(10)/9)))
		if random.IntN(3) == 0 {
			e.Account = "444455556666"
		}
		if e.Name == trail.UpdateUser {
			e.NewUser = users[random.IntN(len(users)-2)]
		}
		if e.Serial == "" && random.IntN(2) == 0 {
			e.Serial = "arn:aws:iam::111122223333:mfa/" + users[random.IntN(len(users)-1)]
		}
		if random.IntN(4) == 0 {
			e.Serial += "-2"
		}
		if random.IntN(15) == 0 {
			e.ErrorCode = "AccessDenied"
		}
		events = append(events, e)
	}
	return events
}

// A rehearsal shows the alerts of the journal's own fold, at the same times,
// byte for byte in their IDs and texts. Leaving out those of whom
// there is nothing to alert changes nothing.
func TestRehearsalIsWhatTheJournalTells(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	policy := exposure.DefaultPolicy()
	for try := range 8 {
		events := rehearsalStory(random, 10+random.IntN(60))
		until := rehearsalStart.AddDate(0, 0, 30+random.IntN(20))
		text := func(at time.Time, a *exposure.Alert) string {
			return at.Format(time.RFC3339) + " " + a.ID + " " + string(a.Step) + " " + a.Summary
		}
		var got, want []string
		for _, alerted := range Run(Arrivals(events, Delivered), policy, until) {
			got = append(got, text(alerted.At, alerted.Alert))
		}

		j, err := journal.Open(filepath.Join(t.TempDir(), "mfawatch.db"), journal.Options{})
		if err == nil {
			err = j.Unlink() // no syncs
		}
		if err != nil {
			t.Fatal(err)
		}
		var list []Arrival
		for _, e := range events {
			list = append(list, Arrival{Delivered(e), e})
		}
		slices.SortFunc(list, func(a, b Arrival) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.event.ID, b.event.ID)) })
		var next time.Time
		for {
			now := next
			if len(list) > 0 && (now.IsZero() || !list[0].at.After(now)) {
				now = list[0].at
			}
			if now.IsZero() || !now.Before(until) {
				break
			}
			for len(list) > 0 && !list[0].at.After(now) {
				if _, err := j.Append(t.Context(), []*trail.Event{list[0].event}); err != nil {
					t.Fatal(err)
				}
				list = list[1:]
			}
			next, err = j.Fold(t.Context(), now, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
				return alerting.Notify(events, st, now, policy)
			}, func(f journal.Folded) {
				for _, a := range f.Alerts {
					want = append(want, text(now, a))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Fatalf("try %d: rehearsed\n%s\nthe journal gives\n%s", try, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A busy account's rehearsal does not depend on how many sign in there.
func TestRehearsalLeavesOutTheUnconcerned(t *testing.T) {
	var events []*trail.Event
	for i := range 3000 {
		e := rehearsalEvent(fmt.Sprintf("s%d", i), trail.ConsoleLogin, fmt.Sprintf("user%d", i%500), i, 5)
		yes := true
		e.MFAUsed = &yes
		events = append(events, e)
	}
	events = append(events, rehearsalEvent("a", trail.DeactivateMFADevice, "user7", 10, 5), rehearsalEvent("r", trail.UpdateUser, "USER8", 20, 5),
		rehearsalEvent("n", trail.CreateVirtualMFADevice, "", 20, 5))
	events[len(events)-2].NewUser = "User7"
	for _, list := range Arrivals(events, Delivered) {
		if kept := len(concerned(list)); kept != 6+6+3 {
			t.Errorf("%d events are kept", kept)
		}
	}
}

// The demo's trail, as one would be notified of it.
func TestRehearsalTable(t *testing.T) {
	var v foundEvents
	trail.NewScanner().ScanBytes(trail.Place("demo"), demo.Lines, &v)
	all := Run(Arrivals(v, Delivered), exposure.DefaultPolicy(), time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC))
	for i := range all {
		for _, name := range []string{"alerts", "chat"} {
			all[i].sinks = append(all[i].sinks, Delivery{sink: name, at: all[i].At})
		}
	}
	var out bytes.Buffer
	if err := WriteTable(&out, all, output.Locale{}, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"NOTIFIED (UTC)       SEVERITY  STEP           ACCOUNT       USER   TO            WHY\n",
		"2026-05-01 08:50:00  critical  escalated (1)  111122223333  erin   alerts, chat  ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := WriteTable(&out, nil, output.Locale{}, false); err != nil || out.String() != "nothing would have been sent\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// foundEvents is a visitor that keeps the events.
type foundEvents []*trail.Event

func (v *foundEvents) Event(e *trail.Event) { *v = append(*v, e) }

func (v *foundEvents) Unreadable(trail.Unreadable) {}
