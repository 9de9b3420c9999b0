package alerting

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// heard counts the alerts of a month by who receives them.
type heard struct {
	t        *testing.T
	m        *month
	steps    map[exposure.Step]int
	proved   map[string]*exposure.Alert // by event: the critical alert about it
	messages map[string]int             // to people, by kind of case
	perCase  map[string]int             // to people, by exposure or attempt
	kinds    map[string]string          // by exposure or attempt
	campaign []*exposure.Alert          // of the person of the Identity Center

	lateCriticals  map[string]bool // by exposure: critical as the record of the new device came late
	ends, machines int
}

func newHeard(t *testing.T, m *month) *heard {
	return &heard{t: t, m: m, steps: map[exposure.Step]int{}, proved: map[string]*exposure.Alert{}, messages: map[string]int{}, perCase: map[string]int{}, kinds: map[string]string{}, lateCriticals: map[string]bool{}}
}

// hear counts the alerts of one time: all of one exposure are one message.
func (h *heard) hear(alerts []*exposure.Alert) {
	told := map[string]bool{}
	for _, a := range alerts {
		h.steps[a.Step]++
		name := a.ID
		if a.Exposure != nil {
			name = *a.Exposure
		}
		kind := h.m.kind[a.Event.ID]
		if kind == "" || h.kinds[name] != "" {
			kind = h.kinds[name]
		}
		h.kinds[name] = kind
		if a.Severity == exposure.Critical {
			if was := h.proved[a.Event.ID]; was == nil || was.Step == exposure.StepCampaign {
				h.proved[a.Event.ID] = a
			}
		}
		switch {
		case a.Severity != exposure.Critical || kind == caseAttack:
		case a.User != nil && h.m.late[a.Account+*a.User]:
			h.lateCriticals[name] = true
		default:
			h.t.Errorf("critical, and no attack but a %s: %s: %s", kind, a.Title, a.Summary)
		}
		if a.Step == exposure.Resolved && a.Severity == exposure.Info && a.Actor.SourceIP == intruderAddress {
			h.t.Errorf("an intruder ended it: %s", a.Title)
		}
		if a.Users != nil && strings.Contains(a.Title, ssoMallory) {
			h.campaign = append(h.campaign, a)
		}
		switch {
		case a.MachineOnly():
			h.machines++
		case a.Step == exposure.Resolved && a.Severity == exposure.Info:
			h.ends++
		case a.Severity.Level() >= exposure.Medium.Level() && !told[name]:
			told[name] = true
			h.messages[kind]++
			if kind == caseSwap && (a.Step != exposure.Opened || a.Severity != exposure.High) {
				h.t.Errorf("of a rotation people get %s: %s", a.Step, a.Title)
			}
			h.perCase[name]++
		}
	}
}

// A month of an organisation of 200 accounts and 20,000 users: every step of
// the attacks is alerted as critical, with the record that proves it; and
// people, who read from medium on, get at most one message about every other
// incident, if what is told of it at one time counts as one. The settings are the
// defaults, with the automation named.
func TestSimulatedMonth(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long, and without goroutines: not with -short")
	}
	begun := time.Now()
	m, p := simulate(1), monthPolicy(t)
	if digest, again := monthDigest(m), monthDigest(simulate(1)); digest != again {
		t.Fatal("one seed makes two months")
	}
	h := newHeard(t, m)
	looks := inLanes(m.arrivals(m.events[:]...), p, h.hear)

	for id, what := range m.attack {
		a := h.proved[id]
		switch {
		case a == nil:
			t.Errorf("an attack's step is not alerted as critical: %s", what)
		case !strings.Contains(string(a.Record), id):
			t.Errorf("%s: the record of %q does not prove it: %s", what, a.Title, a.Record)
		}
	}
	h.checkCampaign()
	for name, n := range h.perCase {
		if kind := h.kinds[name]; n > 1 && kind != caseAttack && (n > 2 || kind != caseLost) { // a lost phone is three calls, in up to three files
			t.Errorf("people get %d messages of one %s", n, kind)
		}
	}
	for kind, n := range h.messages {
		if kind != caseAttack && n > m.cases[kind] {
			t.Errorf("people get %d messages of %d of: %s", n, m.cases[kind], kind)
		}
	}
	if n := h.messages[caseRotation]; n > 0 {
		t.Errorf("people get %d messages of rotations that are done right", n)
	}
	for _, kind := range []string{caseJoiner, caseLeaver, caseHalfLeaver, caseKeys, caseAnnounced, caseMistyped} {
		if n := h.messages[kind]; n > m.cases[kind]/50 { // late records may need an alert
			t.Errorf("people get %d messages of %d of: %s", n, m.cases[kind], kind)
		}
	}
	if n := h.messages[caseLost]; n < m.cases[caseLost]*75/100 {
		t.Errorf("people get %d messages of %d lost phones", n, m.cases[caseLost])
	}
	t.Logf("%d accounts, %d users, %d records; %d looks in %s", monthAccounts, monthAccounts*monthUsers, m.records, looks, time.Since(begun).Round(time.Millisecond))
	all := 0
	for _, s := range exposure.Steps {
		all += h.steps[s]
		t.Logf("%6d alerts %s", h.steps[s], s)
	}
	t.Logf("%6d alerts in all, %d of them for machines alone, %d ends of severity info", all, h.machines, h.ends)
	for _, kind := range []string{caseRotation, caseSwap, caseLost, caseJoiner, caseLeaver, caseHalfLeaver, caseKeys, caseTypo, caseMistyped, caseAnnounced, caseAttack} {
		t.Logf("%6d of: %s; %d messages to people", m.cases[kind], kind, h.messages[kind])
	}
	t.Logf("%6d steps of attacks, all alerted as critical", len(m.attack))

	waits := p
	waits.Grace = 15 * time.Minute
	patient := newHeard(t, m)
	var swaps []arriving
	for _, events := range m.events {
		for _, e := range events {
			if m.kind[e.ID] == caseSwap {
				swaps = append(swaps, e)
			}
		}
	}
	inLanes(m.arrivals(swaps), waits, patient.hear)
	t.Logf("%6d messages of rotations with a grace of %s", patient.messages[caseSwap], waits.Grace)
	if n := patient.messages[caseSwap]; n > 0 {
		t.Errorf("people get %d messages of rotations with a grace of %s", n, waits.Grace)
	}

	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("%d,%03d records", m.records/1000, m.records%1000),
		fmt.Sprintf("| lost phones, reset by the help desk | %d | %d;", m.cases[caseLost], h.messages[caseLost]),
		fmt.Sprintf("%d critical: the file with its new device came late", len(h.lateCriticals)),
		fmt.Sprintf("| rotations done right, the new device first | %d | %d |", m.cases[caseRotation], h.messages[caseRotation]),
		fmt.Sprintf("| rotations, the old device first | %d | %d", m.cases[caseSwap], h.messages[caseSwap]),
		fmt.Sprintf("%d with a grace of 15 minutes", patient.messages[caseSwap]),
		fmt.Sprintf("| mistyped codes | %d | %d |", m.cases[caseMistyped], h.messages[caseMistyped]),
		fmt.Sprintf("| calls that were denied | %d | %d |", m.cases[caseTypo], h.messages[caseTypo]),
		fmt.Sprintf("| attacks, in %d steps, each alerted as critical with the record that proves it | %d | %d |", len(m.attack), m.cases[caseAttack], h.messages[caseAttack]),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("processor/README.md does not say %q", want)
		}
	}
}

// checkCampaign checks that one person's removals in several accounts are one
// campaign, alerted as critical.
func (h *heard) checkCampaign() {
	h.t.Helper()
	most := 0
	names := map[string]bool{}
	for _, a := range h.campaign {
		names[*a.Exposure] = true
		h.t.Logf("campaign: %s %s %s %d users", a.Time.Format(time.DateTime), a.Step, a.Severity, a.Users.Count)
		if a.Step == exposure.StepCampaign && a.Severity == exposure.Critical {
			most = max(most, a.Users.Count)
		}
	}
	if len(names) != 1 || most != len(h.m.sso) {
		h.t.Errorf("one person's removals in %d accounts are %d campaigns, of at most %d users", len(h.m.sso), len(names), most)
	}
}
