package top

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

var now = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func overview(exposures int) web.Overview {
	ok, rate, p99 := now.Add(-time.Hour), 12.3, 0.25
	o := web.Overview{Time: now, OKSince: &ok, RecordsPerSecond: &rate, DeliveryP99: &p99, Quarantined: 2, Selected: exposures,
		Open:    []web.Counted{{Severity: exposure.Critical, Open: exposures, Suspect: 1}, {Severity: exposure.Low}},
		Sinks:   []web.SinkStatus{{Name: "pager", Ready: true, Pending: 3, OldestPending: &ok, DeadLetters: 4, LastSuccess: &ok}},
		Sources: []web.SourceStatus{{Name: "trail", Ready: true}},
	}
	for i := range min(exposures, 50) {
		o.Exposures = append(o.Exposures, web.Exposure{ID: fmt.Sprintf("id-%02d", i), State: web.StateSuspect, Severity: exposure.Critical, Account: "111122223333",
			AccountName: "prod", User: fmt.Sprintf("user-%02d", i), OpenedAt: now.Add(-2 * time.Hour)})
	}
	return o
}

// Times are in the zone of the service, and the shards of all replicas follow those
// of one.
func TestFrameOfReplicas(t *testing.T) {
	o, ok := overview(1), now.Add(-3*time.Second)
	o.TimeZone = "Europe/Vienna"
	o.Failing = []web.Failure{{Part: "sink pager", Since: now, Problem: "timeout"}}
	o.Shards = []web.Shard{
		{Status: shard.Status{Partition: 0, State: shard.Serving, Lag: 7, Open: 2, LastCommit: &ok}, Owner: "mfawatch-0"},
		{Status: shard.Status{Partition: 1, State: "unowned"}},
	}
	want := `mfawatch at a, 2026-05-01 10:00:00 CEST
FAILING: sink pager since 2026-05-01 10:00:00 CEST: timeout
1 exposure open, 1 suspect:  critical 1 (1 suspect)
records read: 12/s, 99 of 100 deliveries within 250 ms, in quarantine: 2

SEVERITY  STATE    USER     ACCOUNT              OPENED (Europe/Vienna)  FOR  ID
critical  suspect  user-00  prod (111122223333)  2026-05-01 08:00:00     2h   id-00

SINK   STATE  LAST SUCCESS  PENDING  OLDEST  DEAD LETTERS
pager  ok     1h ago        3        1h      4

SOURCE  STATE  LAST SUCCESS
trail   ok     -

SHARD  OWNER       STATE    LAST SUCCESS  LAG  OPEN
0      mfawatch-0  serving  3s ago        7    2
1                  unowned  -             0    0
Exposures, sinks and sources above are those of the replica that answers.`
	if got := strings.Join(Frame(o, "a", "", Size{}, false), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i, text := range Frame(o, "a", "", Size{}, true)[14:17] {
		if strings.HasPrefix(text, red) != (i == 2) {
			t.Errorf("colour of %q", text)
		}
	}
}

func TestFrame(t *testing.T) {
	want := `mfawatch at 127.0.0.1:9464, 2026-05-01 08:00:00 UTC
ok since 2026-05-01 07:00:00 UTC
2 exposures open, 1 suspect:  critical 2 (1 suspect)
records read: 12/s, 99 of 100 deliveries within 250 ms, in quarantine: 2

SEVERITY  STATE    USER     ACCOUNT              OPENED (UTC)         FOR  ID
critical  suspect  user-00  prod (111122223333)  2026-05-01 06:00:00  2h   id-00
critical  suspect  user-01  prod (111122223333)  2026-05-01 06:00:00  2h   id-01

SINK   STATE  LAST SUCCESS  PENDING  OLDEST  DEAD LETTERS
pager  ok     1h ago        3        1h      4

SOURCE  STATE  LAST SUCCESS
trail   ok     -`
	if got := strings.Join(Frame(overview(2), "127.0.0.1:9464", "", Size{}, false), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A frame is never larger than the terminal. Sinks and sources stay in sight while
// there is room for three exposures, and the rest is counted.
func TestFrameFits(t *testing.T) {
	for _, size := range []Size{{80, 24}, {200, 60}, {40, 18}, {20, 3}, {1, 1}} {
		for _, problem := range []string{"", "connection refused"} {
			all := Frame(overview(10_000), "127.0.0.1:9464", problem, size, false)
			if len(all) > size.Lines {
				t.Errorf("%v: %d lines", size, len(all))
			}
			for _, text := range all {
				if uniseg.StringWidth(text) > size.Columns {
					t.Errorf("%v: %q", size, text)
				}
			}
			text := strings.Join(all, "\n")
			if size.Lines >= 18 && (!strings.Contains(text, "SOURCE") || !strings.Contains(text, " more: mfawatch")) {
				t.Errorf("%v:\n%s", size, text)
			}
		}
	}
	o := overview(10_000)
	for i := range int32(32) {
		o.Shards = append(o.Shards, web.Shard{Status: shard.Status{Partition: i, State: shard.Serving}, Owner: "a"})
	}
	o.Shards[30].Problem = "the brokers do not answer"
	text := strings.Join(Frame(o, "a", "", Size{80, 28}, false), "\n")
	if !strings.Contains(text, "\nSHARD  OWNER  STATE    LAST SUCCESS  LAG  OPEN\n30     a ") || !strings.Contains(text, "\nand 25 more, 1 failing in all") || !strings.Contains(text, "user-02") {
		t.Errorf("shards:\n%s", text)
	}
	text = strings.Join(Frame(overview(10_000), "a", "", Size{80, 24}, false), "\n")
	if !strings.Contains(text, "user-10") || strings.Contains(text, "user-11") || !strings.Contains(text, "and 9,989 more") {
		t.Errorf("the room is not used:\n%s", text)
	}
}

// Text of an attacker's choice never controls the terminal.
func TestFrameIsClean(t *testing.T) {
	const hostile = "\x1b]0;owned\x07\x1b[2J\r\n\u202e\u009b2J"
	o := overview(1)
	x := &o.Exposures[0]
	x.User, x.AccountName, x.Account, x.ID, x.State, x.Severity = hostile, hostile, hostile, hostile, hostile, hostile
	o.OKSince, o.Failing = nil, []web.Failure{{Part: hostile, Since: now, Problem: hostile}}
	o.Unanswered = []string{hostile}
	o.Shards, o.TimeZone = []web.Shard{{Status: shard.Status{State: hostile}, Owner: hostile}}, hostile
	o.Sinks[0].Name, o.Sinks[0].Problem, o.Sources[0].Name, o.Open[0].Severity = hostile, hostile, hostile, hostile
	all := Frame(o, hostile, hostile, Size{120, 40}, false)
	for _, text := range all {
		if i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }); i >= 0 {
			t.Errorf("%q", text)
		}
	}
	if text := strings.Join(all, "\n"); !strings.Contains(text, "FAILING: ") || !strings.Contains(text, "OUT OF DATE: ") || !strings.Contains(text, "MAY BE MISSING: ") || strings.Contains(text, "ok since") {
		t.Error(text)
	}
}

func TestFrameColours(t *testing.T) {
	all := Frame(overview(1), "a", "b", Size{80, 24}, true)
	for i, want := range []string{bold, red, green} {
		if !strings.HasPrefix(all[i], want) || !strings.HasSuffix(all[i], normal) {
			t.Errorf("%q, want %q", all[i], want)
		}
	}
}
