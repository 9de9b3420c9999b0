package route

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
)

var kinds = map[string]Kind{"audit": Machine, "chat": Reader, "mail": Reader, "pager": Pager}

// routesOf reads routes from YAML.
func routesOf(t *testing.T, text string) []Route {
	t.Helper()
	var list []struct {
		Match       map[string]any
		Sinks       []string
		Except      []string
		MinSeverity string `yaml:"min_severity"`
		MuteTimes   []struct {
			Hours    string
			Days     []string
			TimeZone string `yaml:"time_zone"`
			Critical bool
		} `yaml:"mute_times"`
		Recipients map[string][]string
		Continue   bool
	}
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var routes []Route
	for _, l := range list {
		r := Route{Match: l.Match, Sinks: l.Sinks, Except: l.Except, MinSeverity: l.MinSeverity, Recipients: l.Recipients, Continue: l.Continue}
		for _, q := range l.MuteTimes {
			r.MuteTimes = append(r.MuteTimes, MuteTime(q))
		}
		routes = append(routes, r)
	}
	return routes
}

func routerOf(t *testing.T, text string) *Router {
	t.Helper()
	routes := routesOf(t, text)
	for i, r := range routes {
		if err := r.Validate([]string{"audit", "chat", "mail", "pager"}); err != nil {
			t.Fatalf("routes[%d]: %v", i, err)
		}
	}
	accounts := map[string]exposure.Account{"111122223333": {Name: "payroll", Class: "production"}, "444455556666": {Class: "sandbox"}}
	r, err := New(routes, kinds, accounts, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// monday is a Monday noon.
var monday = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func alertOf(step exposure.Step, severity exposure.Severity, reasons ...string) *exposure.Alert {
	user, x := "bob", "x"
	return &exposure.Alert{
		ID: string(step), Exposure: &x, Step: step, Severity: severity, Reasons: reasons, Partition: "aws", Account: "111122223333", User: &user,
		Protection: "unknown", Device: exposure.AlertDevice{Kind: "virtual"},
		Actor: exposure.AlertActor{Type: "IAMUser", Name: "alice", SourceIP: "203.0.113.7"},
	}
}

// delivered lists the sinks that are notified of an alert, with recipients and
// the end of mute times.
func delivered(r *Router, a *exposure.Alert, now time.Time, known map[string]Knowledge) string {
	var all []string
	for _, sink := range []string{"audit", "chat", "mail", "pager"} {
		d := r.Decide(sink, a, known[sink], now)
		if !d.Notify {
			continue
		}
		text := sink
		if d.To != nil {
			text += "(" + strings.Join(d.To, ",") + ")"
		}
		if !d.Until.IsZero() {
			text += "@" + d.Until.Format("Mon 15:04")
		}
		if d.Unrouted {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestDecide(t *testing.T) {
	root := alertOf(exposure.Opened, exposure.Critical, "root")
	name := rule.RootUser
	root.User, root.Root = &name, true
	opened := alertOf(exposure.Opened, exposure.High)
	critical := alertOf(exposure.Exploited, exposure.Critical, "exploited")
	resolved := alertOf(exposure.Resolved, exposure.Info)
	foreign := alertOf(exposure.Resolved, exposure.High)
	sandbox := alertOf(exposure.Opened, exposure.High)
	sandbox.Account = "444455556666"
	member := alertOf(exposure.Opened, exposure.Critical, "campaign")
	member.Campaign = "c"
	elsewhere := alertOf(exposure.Opened, exposure.Critical, "campaign")
	elsewhere.Campaign, elsewhere.CampaignIn = "c", "444455556666"
	again := alertOf(exposure.Escalated, exposure.Critical, "campaign")
	again.Campaign, again.CampaignIn = "c", "444455556666"
	campaign := alertOf(exposure.StepCampaign, exposure.Critical, "campaign")
	campaign.Users = &exposure.AlertUsers{Count: 3}
	night := monday.Add(10 * time.Hour) // 22:00
	const quiet = `[{match: {account_class: production}, sinks: [chat, pager], mute_times: [{hours: "20:00-07:00"}, {days: [sat, sun]}]}, {sinks: [mail]}]`
	const severe = `[{match: {severity: ">= high"}, sinks: [pager]}, {sinks: [chat]}]`
	for _, tt := range []struct {
		name   string
		routes string
		alert  *exposure.Alert
		now    time.Time
		known  map[string]Knowledge
		want   string
	}{
		{name: "no routes: all", alert: opened, want: "audit chat mail pager"},
		{name: "the first that matches", routes: `[{match: {root: true}, sinks: [pager]}, {sinks: [chat]}]`, alert: root, want: "audit pager"},
		{name: "else the next", routes: `[{match: {root: true}, sinks: [pager]}, {sinks: [chat]}]`, alert: opened, want: "audit chat"},
		{name: "continue", routes: `[{match: {root: true}, sinks: [pager], continue: true}, {sinks: [chat]}]`, alert: root, want: "audit pager chat"},
		{name: "nobody takes it", routes: `[{match: {root: true}, sinks: [pager]}]`, alert: opened, want: "audit chat! mail! pager!"},
		{name: "a route without sinks notifies all", routes: `[{match: {account_name: payroll}}]`, alert: opened, want: "audit chat mail pager"},
		{name: "only machines", routes: `[{match: {account_class: sandbox}, sinks: [audit]}]`, alert: sandbox, want: "audit"},
		{name: "machines are notified, named or not", routes: `[{sinks: [chat]}]`, alert: opened, want: "audit chat"},
		{name: "but for those excepted", routes: `[{sinks: [chat], except: [audit]}]`, alert: opened, want: "chat"},
		{name: "excepted whatever others say", routes: `[{match: {root: false}, except: [audit, mail], continue: true}, {sinks: [mail]}]`, alert: opened, want: "chat pager"},
		{name: "below the least", routes: `[{min_severity: critical, sinks: [pager, mail]}]`, alert: opened, want: "audit"},
		{name: "at the least", routes: `[{min_severity: high, sinks: [pager]}]`, alert: opened, want: "audit pager"},
		{name: "below the least it is taken", routes: `[{min_severity: critical, sinks: [pager]}, {sinks: [chat]}]`, alert: opened, want: "audit"},
		{name: "recipients", routes: `[{sinks: [chat, pager], recipients: {pager: [k1, k2]}}]`, alert: opened, want: "audit chat pager(k1,k2)"},
		{name: "recipients of several routes", routes: `[{recipients: {pager: [k1, k2]}, continue: true}, {recipients: {pager: [k2, k3]}, continue: true}, {}]`, alert: opened, want: "audit chat mail pager(k1,k2,k3)"},
		{name: "by day", routes: quiet, alert: opened, want: "audit chat pager"},
		{name: "quiet", routes: quiet, alert: opened, now: night, want: "audit chat@Tue 07:00 pager@Tue 07:00"},
		{name: "quiet, critical", routes: quiet, alert: critical, now: night, want: "audit chat pager"},
		{name: "quiet over the weekend", routes: quiet, alert: opened, now: monday.AddDate(0, 0, 4).Add(9 * time.Hour), want: "audit chat@Mon 07:00 pager@Mon 07:00"},
		{name: "quiet for critical, too", routes: `[{mute_times: [{hours: "20:00-07:00", critical: true}]}]`, alert: critical, now: night, want: "audit chat@Tue 07:00 mail@Tue 07:00 pager@Tue 07:00"},
		{name: "the first end of several", routes: `[{sinks: [chat], mute_times: [{hours: "20:00-07:00"}], continue: true}, {sinks: [chat], mute_times: [{hours: "20:00-06:00"}]}]`, alert: opened, now: night, want: "audit chat@Tue 06:00"},
		{name: "quiet by one of two", routes: `[{sinks: [chat], mute_times: [{hours: "20:00-07:00"}], continue: true}, {sinks: [chat]}]`, alert: opened, now: night, want: "audit chat"},
		{name: "quiet elsewhere", routes: `[{mute_times: [{hours: "00:00-08:00", time_zone: Europe/Vienna}]}]`, alert: opened, now: night, want: "audit chat@Tue 06:00 mail@Tue 06:00 pager@Tue 06:00"},
		{name: "late", alert: alertOf(exposure.Opened, exposure.High, "late"), want: "audit chat mail"},
		{name: "late and critical: those who read are notified", alert: alertOf(exposure.Exploited, exposure.Critical, "late"), want: "audit chat mail"},
		{name: "late and critical: nobody else", routes: `[{sinks: [pager]}]`, alert: alertOf(exposure.Exploited, exposure.Critical, "late"), want: "audit pager"},
		{name: "late, nobody else", routes: `[{sinks: [pager]}]`, alert: alertOf(exposure.Opened, exposure.High, "late"), want: "audit"},
		{name: "late, asked for", routes: `[{match: {late: true}, sinks: [pager]}]`, alert: alertOf(exposure.Opened, exposure.High, "late"), want: "audit pager"},
		{name: "announced", alert: alertOf(exposure.Opened, exposure.High, "expected"), want: "audit"},
		{name: "announced, asked for", routes: `[{match: {planned_change: true}, sinks: [chat]}]`, alert: alertOf(exposure.Opened, exposure.High, "expected"), want: "audit chat"},
		{name: "one of a campaign", alert: member, want: "audit"},
		{name: "one of a campaign, of a case that is known", alert: member, known: map[string]Knowledge{"mail": {Known: true}}, want: "audit mail"},
		{name: "one of a campaign, asked for", routes: `[{match: {campaign: true}, sinks: [mail]}]`, alert: member, want: "audit mail"},
		{name: "one of a campaign of another account", alert: elsewhere, want: "audit"},
		{name: "one of a campaign of another account, for the same routes", routes: `[{match: {severity: critical}, sinks: [pager]}]`, alert: elsewhere, want: "audit"},
		{name: "one of a campaign that a sandbox's routes decide about", routes: `[{match: {account_class: sandbox}, sinks: [chat]}, {sinks: [pager]}]`, alert: elsewhere, want: "audit pager"},
		{name: "one of a campaign that no route decides about", routes: `[{match: {account_class: production}, sinks: [pager]}]`, alert: elsewhere, want: "audit pager"},
		{name: "one of a campaign, known by others than that", routes: `[{match: {account_class: sandbox}, sinks: [chat]}, {sinks: [pager]}]`, alert: again,
			known: map[string]Knowledge{"pager": {Known: true}}, want: "audit pager"},
		{name: "one of a campaign, known by the same", alert: again, known: map[string]Knowledge{"pager": {Known: true}}, want: "audit"},
		{name: "one of a campaign, for a route of its user", routes: `[{match: {user: bob}, sinks: [pager]}, {sinks: [chat]}]`, alert: member, want: "audit pager"},
		{name: "a campaign", alert: campaign, want: "audit chat mail pager"},
		{name: "an end alone", routes: severe, alert: resolved, want: "audit"},
		{name: "an end alone, where the beginning would have been sent", routes: `[{sinks: [chat]}]`, alert: resolved, want: "audit"},
		{name: "an end alone, without routes", alert: resolved, want: "audit"},
		{name: "an end alone, of a device of another", routes: `[{sinks: [chat]}]`, alert: foreign, want: "audit chat"},
		{name: "an end alone, of a device of another, for those who hear of the beginning", routes: `[{match: {step: opened}, sinks: [mail]}]`, alert: foreign, want: "audit mail!"},
		{name: "the beginning to one, the end to no other", routes: `[{match: {severity: ">= high"}, sinks: [pager]}]`, alert: resolved,
			known: map[string]Knowledge{"pager": {Known: true}}, want: "audit pager"},
		{name: "a failed call", routes: `[{match: {step: failed}, sinks: [chat]}]`, alert: alertOf(exposure.Failed, exposure.Info), want: "audit"},
		{name: "an end alone, below the least", routes: `[{sinks: [chat], min_severity: low}]`, alert: resolved, want: "audit"},
		{name: "an end alone, exploited", routes: severe, alert: alertOf(exposure.Resolved, exposure.Info, "exploited"), want: "audit"},
		{name: "an end known", routes: `[{sinks: [mail], min_severity: high, except: [chat]}]`, alert: resolved, now: night,
			known: map[string]Knowledge{"chat": {Known: true}, "pager": {Known: true, To: []string{"old"}}}, want: "audit chat pager(old)"},
		{name: "an end known, in quiet hours", routes: quiet, alert: resolved, now: night,
			known: map[string]Knowledge{"pager": {Known: true}}, want: "audit pager"},
		{name: "the end of a case that a sink knew which is gone", routes: `[{sinks: [pager], min_severity: high, recipients: {pager: [k]}}]`, alert: resolved,
			known: map[string]Knowledge{"chat": {Orphan: true}, "pager": {Orphan: true}}, want: "audit pager(k)"},
		{name: "a step of a known case, in quiet hours", routes: quiet, alert: alertOf(exposure.Updated, exposure.Low), now: night,
			known: map[string]Knowledge{"pager": {Known: true, To: []string{"k"}}}, want: "audit chat@Tue 07:00 pager(k)@Tue 07:00"},
		{name: "a known case, announced later", alert: alertOf(exposure.Updated, exposure.High, "expected"),
			known: map[string]Knowledge{"pager": {Known: true}}, want: "audit pager"},
	} {
		now := tt.now
		if now.IsZero() {
			now = monday
		}
		if got := delivered(routerOf(t, tt.routes), tt.alert, now, tt.known); sorted(got) != sorted(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Matchers know every word of an alert.
func TestWords(t *testing.T) {
	var steps, severities []string
	for _, s := range exposure.Steps {
		steps = append(steps, string(s))
	}
	for _, s := range exposure.Severities {
		severities = append(severities, string(s))
	}
	for _, s := range steps {
		if !slices.Contains(rule.Steps, s) {
			t.Errorf("matchers do not know the step %s", s)
		}
	}
	if !slices.Equal(severities, rule.Severities) {
		t.Errorf("severities: matchers know %q, alerts %q", rule.Severities, severities)
	}
	for _, p := range []string{exposure.ProtectionNone, exposure.ProtectionOtherDevice, exposure.ProtectionUnknown} {
		if !slices.Contains(rule.Protections, p) {
			t.Errorf("matchers do not know the protection %s", p)
		}
	}
}

func TestFacts(t *testing.T) {
	r := routerOf(t, "")
	a := alertOf(exposure.Opened, exposure.High, "privileged", "late", "campaign")
	a.Path = "/admins/eu/"
	f := r.Facts(a)
	if f.AccountName != "payroll" || f.AccountClass != "production" || f.Path != "/admins/eu/" || !f.Privileged || !f.Late || !f.Campaign || f.Expected || f.User != "bob" {
		t.Errorf("got %+v", f)
	}
	a.User = nil
	if f := r.Facts(a); f.User != "" {
		t.Errorf("got %+v", f)
	}
}

func TestFindings(t *testing.T) {
	for _, tt := range []struct{ routes, want string }{
		{``, ``},
		{`[{sinks: [chat, mail, pager]}]`, ``},
		{`[{match: {root: true}}, {sinks: [chat, mail, pager]}]`, ``},
		{`[{sinks: [chat]}]`, "sinks.mail: no route notifies it\nsinks.pager: no route notifies it"},
		{`[{}, {match: {user: bob}, sinks: [chat]}]`, "routes[1]: can never match: every alert that it matches is matched before by routes[0]"},
		{`[{continue: true}, {match: {user: bob}, sinks: [chat]}]`, ``},
		{`[{match: {root: true}}, {match: {user: bob, root: true}}, {match: {root: false}}, {match: {self: true}}]`,
			"routes[1]: can never match: root is AWS ROOT USER and nobody else is\nroutes[3]: can never match: every alert that it matches is matched before by routes[0], routes[2]"},
		{`[{match: {severity: [low, info]}, min_severity: high, sinks: [chat]}, {}]`, "routes[0]: never notifies: the alerts that it matches are below its min_severity, high"},
		{`[{match: {account_class: [prodution, sandbox], account_name: {not: "pay*"}}}, {match: {account_name: "zz?*"}}, {}]`,
			"routes[0]: no account has the account_class prodution; did you mean production?\nroutes[1]: no account has the account_name zz?*; known are payroll"},
		{`[{match: {account_class: {not: "?*"}}}, {match: {account_class: "*"}}]`, ``},
		{`[{}, {match: {user: bob}, sinks: [chat]}, {sinks: [mail]}]`, "routes[1]: can never match: every alert that it matches is matched before by routes[0]\nroutes[2]: can never match: every alert that it matches is matched before by routes[0]"},
	} {
		if got := strings.Join(routerOf(t, tt.routes).Findings(), "\n"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.routes, got, tt.want)
		}
	}
	for routes, want := range map[string]bool{``: false, `[{match: {root: true}}]`: true, `[{match: {root: true}}, {}]`: false, `[{continue: true}]`: false} {
		if got := routerOf(t, routes).Rest(); got != want {
			t.Errorf("%s: rest %v", routes, got)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ route, want string }{
		{`{match: {usr: bob, step: open}}`, "match.step: unknown open; did you mean opened?\nmatch.usr: unknown field; did you mean user?"},
		{`{sinks: [chta], except: [adit]}`, "sinks[0]: there is no sink \"chta\"; did you mean chat?\nexcept[0]: there is no sink \"adit\"; did you mean audit?"},
		{`{sinks: [chat], except: [chat]}`, "except[0]: chat is also in sinks: name it in one of them"},
		{`{min_severity: hihg}`, `min_severity: unknown "hihg"; did you mean high?`},
		{`{mute_times: [{hours: 20-7}]}`, `mute_times[0].hours: want two times of a day, such as 20:00-07:00, got "20-7"`},
		{`{mute_times: [{hours: "20:00-20:00"}]}`, `mute_times[0].hours: want two times of a day, such as 20:00-07:00, got "20:00-20:00"`},
		{`{mute_times: [{days: [sta, mon-fry]}]}`, "mute_times[0].days[0]: unknown \"sta\"; did you mean sat?\nmute_times[0].days[1]: unknown \"fry\"; did you mean fri?"},
		{`{mute_times: [{days: [sat], time_zone: Wien}]}`, `mute_times[0].time_zone: want a name such as Europe/Vienna, or UTC, got "Wien"`},
		{`{mute_times: [{critical: true}]}`, `mute_times[0].hours: missing; want hours such as 20:00-07:00, days such as [sat, sun], or both`},
		{`{mute_times: [{hours: "20:00-08:00"}, {hours: "08:00-20:00"}]}`, `mute_times: covers the whole week: want some time at which people may be notified`},
		{`{recipients: {chta: [x]}}`, `recipients: there is no sink "chta"; did you mean chat?`},
		{`{sinks: [mail], recipients: {chat: [x]}}`, `recipients.chat: the route does not notify this sink: add it to its sinks`},
		{`{recipients: {chat: []}}`, `recipients.chat: want at least one, got none`},
		{`{recipients: {chat: [""]}}`, `recipients.chat: want no empty one`},
	} {
		err := routesOf(t, "["+tt.route+"]")[0].Validate([]string{"audit", "chat", "mail", "pager"})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v\nwant %s", tt.route, err, tt.want)
		}
	}
}
