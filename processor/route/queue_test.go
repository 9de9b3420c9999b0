package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// player plays a script of arrivals against a Queue whose sends take no time.
type player struct {
	t      *testing.T
	q      *Queue
	alerts map[uint64]*exposure.Alert
	now    time.Time
	log    []string
	fail   map[string]int  // by exposure: how many sends fail
	known  map[string]bool // exposures, as the journal remembers them
}

func newPlayer(t *testing.T, s Sink) *player {
	p := &player{t: t, alerts: map[uint64]*exposure.Alert{}, now: monday, fail: map[string]int{}, known: map[string]bool{}}
	s.Alert = func(n uint64) (*exposure.Alert, error) { return p.alerts[n], nil }
	p.q = NewQueue(s)
	return p
}

// add adds "EXPOSURE step severity", with the number after those before.
func (p *player) add(text string, first Lane) {
	w := strings.Fields(text)
	a := alertOf(exposure.Step(w[1]), exposure.Severity(w[2]))
	a.ID = w[0]
	n := uint64(len(p.alerts) + 1)
	p.alerts[n] = a
	first.Known.Known = first.Known.Known || p.known[w[0]]
	p.q.Add(w[0], Pending{Number: n, Step: a.Step, Severity: a.Severity}, first)
}

// run does all that happens until a time, and stops there.
func (p *player) run(until time.Time) {
	p.t.Helper()
	for range 10000 {
		a, err := p.q.Next(p.now)
		if err != nil {
			p.t.Fatal(err)
		}
		if a.Verb == Hold {
			if a.Until.IsZero() || a.Until.After(until) {
				p.now = until
				return
			}
			p.now = a.Until
			continue
		}
		p.done(a)
	}
	p.t.Fatal("it never ends")
}

// done logs an action, and reports its end to the Queue.
func (p *player) done(a Action) {
	var words, order []string
	count := map[string]int{}
	for _, it := range a.Items {
		word := it.Lane + " " + string(it.Pending.Step)
		if it.Muted {
			word += " muted"
		}
		words = append(words, word)
		if count[it.Lane]++; count[it.Lane] == 1 {
			order = append(order, it.Lane)
		}
	}
	text := strings.Join(words, ", ")
	if a.Group != "" {
		text = "[" + text + "]"
	}
	if a.Verb == Drop {
		text = string(a.Reason) + ": " + text
	}
	p.log = append(p.log, fmt.Sprintf("%d %s", int(p.now.Sub(monday).Seconds()), text))
	for _, name := range order {
		switch {
		case a.Verb == Drop:
			p.known[name] = p.known[name] || a.Reason == Superseded
		case p.fail[name] > 0:
			p.fail[name]--
			p.q.Retry(name, p.now.Add(10*time.Second), false, false)
		default:
			p.q.Done(name, count[name])
			p.known[name] = true
		}
	}
}

func TestQueue(t *testing.T) {
	burst := Group{Wait: time.Minute, Max: 100}
	mute := `[{match: {account_class: production}, mute_times: [{hours: "12:00-13:00"}]}]`
	severe := `[{match: {severity: ">= high"}, sinks: [chat]}, {sinks: [mail]}]`
	for _, tt := range []struct {
		name   string
		sink   Sink
		routes string
		first  Lane     // of every lane
		script []string // "EXPOSURE step severity", "+SECONDS" or "EXPOSURE fails N"
		want   []string
	}{
		{name: "severity first, then number", script: []string{"a opened medium", "b opened high", "c opened critical", "d opened high"},
			want: []string{"0 c opened", "0 b opened", "0 d opened", "0 a opened"}},
		{name: "no escalation once a device came back", sink: Sink{Human: true}, script: []string{"a opened high", "a escalated high", "a suspect high"},
			want: []string{"0 a opened", "0 superseded: a escalated", "0 a suspect"}},
		{name: "a suspect exposure that a person closed", first: Lane{Closed: true}, script: []string{"a updated high", "a suspect high", "a resolved info"},
			want: []string{"0 closed_by_person: a updated", "0 a suspect", "0 a resolved"}},
		{name: "the order of an exposure stays, in the place of its worst", script: []string{"b opened high", "a opened low", "a exploited critical"},
			want: []string{"0 a opened", "0 a exploited", "0 b opened"}},
		{name: "a rate holds all but what is critical", sink: Sink{Rate: 0.1}, script: []string{"a opened high", "b opened high", "c opened high", "+1", "d opened critical", "e opened critical", "+60"},
			want: []string{"0 a opened", "1 d opened", "1 e opened", "10 b opened", "20 c opened"}},
		{name: "a lane waits with its critical alert for no rate", sink: Sink{Rate: 0.1}, script: []string{"a opened high", "b opened high", "+1", "b exploited critical", "+60"},
			want: []string{"0 a opened", "1 b opened", "1 b exploited"}},
		{name: "the first of a burst alone, then the worst first", sink: Sink{Group: burst}, script: []string{"a attempted medium", "+1", "b attempted medium", "+1", "d reduced low", "+1", "c opened high", "+120"},
			want: []string{"0 a attempted", "60 [c opened, b attempted, d reduced]"}},
		{name: "critical neither joins nor opens a group", sink: Sink{Group: burst}, script: []string{"r opened critical", "a attempted medium", "b attempted medium", "s opened critical", "+1", "s updated critical", "+120"},
			want: []string{"0 r opened", "0 s opened", "0 a attempted", "1 s updated", "60 b attempted"}},
		{name: "what grows worse leaves its group", sink: Sink{Group: burst}, script: []string{"a opened low", "+1", "b opened low", "c opened low", "d opened low", "+1", "c updated high", "d updated low", "+1", "b exploited critical", "+120"},
			want: []string{"0 a opened", "2 c opened", "2 c updated", "3 b opened", "3 b exploited", "60 [d opened, d updated]"}},
		{name: "once grouped, the rest alone", sink: Sink{Group: burst}, script: []string{"a opened high", "b opened high", "c opened high", "+70", "b updated high", "d opened high", "d updated high", "e opened high", "+60", "e resolved info", "+60"},
			want: []string{"0 a opened", "60 [b opened, c opened]", "70 b updated", "120 [d opened, d updated, e opened]", "130 e resolved"}},
		{name: "a full group does not wait", sink: Sink{Group: Group{Wait: time.Minute, Max: 2}}, script: []string{"a opened high", "b opened high", "c opened high", "d opened high", "+1", "d updated low", "+60"},
			want: []string{"0 a opened", "0 [b opened, c opened]", "60 [d opened, d updated]"}},
		{name: "a group counts once against the rate", sink: Sink{Group: burst, Rate: 0.01}, script: []string{"a opened high", "b opened high", "c opened high", "+90", "z opened critical", "+20", "d opened high", "e opened high", "+200"},
			want: []string{"0 a opened", "90 z opened", "100 [b opened, c opened]", "200 [d opened, e opened]"}},
		{name: "a group that failed", sink: Sink{Group: burst}, script: []string{"c fails 1", "b fails 1", "a opened high", "b opened high", "c opened high", "+200"},
			want: []string{"0 a opened", "60 [b opened, c opened]", "120 [b opened, c opened]"}},
		{name: "an exposure that ended within its group", sink: Sink{Group: burst, Human: true}, script: []string{"a opened high", "b opened high", "c opened high", "+1", "c resolved info", "+120"},
			want: []string{"0 a opened", "60 superseded: c opened", "60 [b opened, c resolved]"}},
		{name: "an end supersedes, for people", sink: Sink{Human: true, Rate: 0.1}, script: []string{"z opened high", "a opened high", "a exploited critical", "b opened high", "b escalated high", "b resolved info", "+60"},
			want: []string{"0 a opened", "0 a exploited", "10 z opened", "10 superseded: b opened", "10 superseded: b escalated", "20 b resolved"}},
		{name: "but not for machines", sink: Sink{Rate: 0.1}, script: []string{"z opened high", "b opened high", "b resolved info", "+60"},
			want: []string{"0 z opened", "10 b opened", "20 b resolved"}},
		{name: "only the last escalation", sink: Sink{Human: true}, script: []string{"b escalated high", "b escalated high"},
			want: []string{"0 superseded: b escalated", "0 b escalated"}},
		{name: "what may have arrived is not superseded", sink: Sink{Human: true}, first: Lane{MaybeDelivered: true}, script: []string{"b opened high", "b resolved info"},
			want: []string{"0 b opened", "0 b resolved"}},
		{name: "closed by a person", sink: Sink{Human: true}, first: Lane{Closed: true, Known: Knowledge{Known: true}}, script: []string{"b updated high", "b escalated high", "b updated critical", "b updated high"},
			want: []string{"0 closed_by_person: b updated", "0 closed_by_person: b escalated", "0 b updated", "0 b updated"}},
		{name: "mute times", sink: Sink{Name: "chat", Human: true}, routes: mute, script: []string{"a opened high", "b opened high", "+60", "b exploited critical", "c opened critical", "+7200"},
			want: []string{"60 b opened muted", "60 b exploited", "60 c opened", "3600 a opened muted"}},
		{name: "mute times, ended meanwhile", sink: Sink{Name: "chat", Human: true}, routes: mute, script: []string{"a opened high", "+60", "a resolved info", "+7200"},
			want: []string{"3600 superseded: a opened muted", "3600 a resolved"}},
		{name: "mute times hold no end of what is known", sink: Sink{Name: "chat", Human: true}, routes: mute, first: Lane{Known: Knowledge{Known: true}}, script: []string{"a updated high", "+60", "a resolved info", "+7200"},
			want: []string{"60 superseded: a updated muted", "60 a resolved"}},
		{name: "thresholds", sink: Sink{Name: "chat", Human: true}, routes: severe, script: []string{"a opened high", "b opened low", "b exploited critical", "c opened low", "c resolved info", "a resolved info"},
			want: []string{"0 suppressed: b opened", "0 b exploited", "0 superseded: a opened", "0 suppressed: c opened", "0 suppressed: c resolved", "0 a resolved"}},
		{name: "a batch", sink: Sink{Batch: 3}, script: []string{"a opened low", "b opened high", "c opened critical", "a updated low"},
			want: []string{"0 c opened, b opened, a opened", "0 a updated"}},
		{name: "a batch within a rate", sink: Sink{Batch: 3, Rate: 2}, script: []string{"a opened low", "b opened high", "c opened low", "d opened low"},
			want: []string{"0 b opened, a opened"}},
		{name: "what fails delays its exposure alone", script: []string{"a fails 2", "a opened critical", "a updated low", "b opened low", "+30"},
			want: []string{"0 a opened", "0 b opened", "10 a opened", "20 a opened", "20 a updated"}},
	} {
		if tt.routes != "" {
			tt.sink.Router = routerOf(t, tt.routes)
		}
		p := newPlayer(t, tt.sink)
		for _, line := range tt.script {
			switch w := strings.Fields(line); {
			case strings.HasPrefix(line, "+"):
				s, _ := strconv.Atoi(line[1:])
				p.run(p.now.Add(time.Duration(s) * time.Second))
			case w[1] == "fails":
				p.fail[w[0]], _ = strconv.Atoi(w[2])
			default:
				p.add(line, tt.first)
			}
		}
		p.run(p.now)
		if !slices.Equal(p.log, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, strings.Join(p.log, "; "), strings.Join(tt.want, "; "))
		}
	}
}

// Denied calls on many users neither delay nor hide the one alert that counts.
func TestDecoysDelayNothing(t *testing.T) {
	for _, decoys := range []int{30, 300, 3000} {
		p := newPlayer(t, Sink{Human: true, Rate: 1, Group: Group{Wait: 30 * time.Second, Max: 100}})
		for i := range decoys {
			p.add(fmt.Sprintf("ghost%d attempted medium", i), Lane{})
		}
		p.run(p.now.Add(2 * time.Second))
		before := len(p.log)
		p.add("root opened critical", Lane{})
		p.run(p.now)
		if len(p.log) != before+1 || p.log[before] != "2 root opened" {
			t.Errorf("%d decoys: %q", decoys, p.log[before:])
		}
		p.add("root updated critical", Lane{})
		p.run(p.now.Add(time.Hour))
		if last := p.log[before+1]; last != "2 root updated" {
			t.Errorf("%d decoys: then %q", decoys, last)
		}
		if p.q.Len() != 0 {
			t.Errorf("%d decoys: %d lanes are left", decoys, p.q.Len())
		}
	}
}

// With room for critical alerts alone, no other is sent, be it in a batch, a group
// or behind a critical one that is dropped.
func TestQueueUrgentOnly(t *testing.T) {
	p := newPlayer(t, Sink{Group: Group{Wait: time.Minute, Max: 2}})
	for _, text := range []string{"a opened high", "b opened high", "c opened high", "closed exploited critical"} {
		p.add(text, Lane{Closed: strings.HasPrefix(text, "closed")})
	}
	p.alerts[4] = nil // needs no delivery any more
	if a, err := p.q.NextUrgent(p.now); err != nil || a.Verb != Drop {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := p.q.NextUrgent(p.now); err != nil || a.Verb != Hold {
		t.Errorf("%+v, %v", a, err)
	}
	p.add("c exploited critical", Lane{})
	if a, err := p.q.NextUrgent(p.now); err != nil || a.Verb != Send || len(a.Items) != 1 || a.Items[0].Lane != "c" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestQueueProbe(t *testing.T) {
	p := newPlayer(t, Sink{Group: Group{Wait: time.Minute, Max: 10}})
	p.fail = map[string]int{"a": 3, "b": 3}
	p.add("a opened critical", Lane{})
	p.add("b opened low", Lane{})
	for _, want := range []string{"a opened", "b opened", "a opened"} {
		a, err := p.q.Probe(p.now)
		if err != nil || a.Verb != Send || a.Group != "" {
			t.Fatalf("got %+v, %v", a, err)
		}
		p.done(a)
		if got := p.log[len(p.log)-1]; !strings.HasSuffix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
		p.now = p.now.Add(10 * time.Second)
	}
}

func TestQueueCloseAndAlone(t *testing.T) {
	p := newPlayer(t, Sink{Human: true, Group: Group{Wait: time.Minute, Max: 10}})
	p.add("a opened high", Lane{})
	p.add("a escalated high", Lane{})
	p.add("b opened high", Lane{})
	p.add("c opened high", Lane{})
	if a, err := p.q.Next(p.now); err != nil || a.Items[0].Lane != "a" {
		t.Fatalf("got %+v, %v", a, err)
	}
	p.q.Close("a")
	p.run(p.now.Add(59 * time.Second))
	p.now = p.now.Add(time.Second)
	if a, err := p.q.Next(p.now); err != nil || len(a.Items) != 2 || a.Group == "" {
		t.Fatalf("got %+v, %v", a, err)
	}
	p.q.Retry("b", p.now, true, true)
	p.q.Retry("c", p.now, true, true)
	p.run(p.now.Add(time.Second))
	want := []string{"0 closed_by_person: a escalated", "60 b opened", "60 c opened"}
	if !slices.Equal(p.log, want) || p.q.Len() != 0 {
		t.Errorf("got %q, want %q", p.log, want)
	}
}

// A group whose message is being put together changes with what arrives.
func TestQueueGroupChangesMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		added []string
		want  []string
	}{
		{[]string{"b exploited critical"}, []string{"60 superseded: c opened", "60 b opened", "60 b exploited", "60 [d opened, c resolved]"}},
		{[]string{"b updated low", "b updated low", "b updated low"},
			[]string{"60 superseded: c opened", "60 [b opened, b updated, b updated, b updated]", "120 [d opened, c resolved]"}},
	} {
		p := newPlayer(t, Sink{Human: true, Group: Group{Wait: time.Minute, Max: 4}})
		p.add("a opened high", Lane{})
		p.run(p.now.Add(time.Second))
		p.add("b opened high", Lane{})
		p.add("d opened high", Lane{})
		p.add("c opened high", Lane{})
		p.run(p.now)
		p.add("c resolved info", Lane{})
		p.run(p.now.Add(58 * time.Second))
		p.now, p.log = monday.Add(time.Minute), nil
		a, err := p.q.Next(p.now) // b and d are part of the message already
		if err != nil || a.Reason != Superseded {
			t.Fatalf("got %+v, %v", a, err)
		}
		p.done(a)
		for _, text := range tt.added {
			p.add(text, Lane{})
		}
		p.run(p.now.Add(time.Hour))
		if !slices.Equal(p.log, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.added, p.log, tt.want)
		}
	}
}

func TestQueueBatchAlone(t *testing.T) {
	p := newPlayer(t, Sink{Batch: 10})
	for _, x := range []string{"a", "b", "c"} {
		p.add(x+" opened high", Lane{})
		p.add(x+" updated high", Lane{})
	}
	if a, err := p.q.Next(p.now); err != nil || len(a.Items) != 6 {
		t.Fatalf("got %+v, %v", a, err)
	}
	p.q.Retry("a", p.now, false, false)
	p.q.Retry("b", p.now, false, true)
	p.q.Retry("c", p.now, false, false)
	p.run(p.now)
	want := []string{"0 a opened, a updated", "0 b opened", "0 b updated, c opened, c updated"}
	if !slices.Equal(p.log, want) {
		t.Errorf("got %q, want %q", p.log, want)
	}
}

// Whatever arrives: each alert is sent or dropped once, in the order of its
// exposure; no critical one is grouped, nor waits behind another.
func TestQueueProperty(t *testing.T) {
	steps := []exposure.Step{exposure.Opened, exposure.Updated, exposure.Exploited, exposure.Escalated, exposure.Resolved}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := Sink{Name: "chat", Human: seed%2 == 0, Rate: float64(r.IntN(3)), Batch: r.IntN(3) * int(seed%2), Group: Group{Wait: time.Duration(r.IntN(3)*int(1-seed%2)) * 20 * time.Second, Max: 3}}
		if r.IntN(2) == 0 {
			s.Router = routerOf(t, `[{match: {severity: low}, sinks: [mail]}, {mute_times: [{hours: "12:00-12:01"}]}]`)
		}
		p := newPlayer(t, s)
		seen := map[uint64]bool{}
		last := map[string]uint64{}
		for range 60 {
			for range r.IntN(3) {
				p.add(fmt.Sprintf("x%d %s %s", r.IntN(6), steps[r.IntN(len(steps))], exposure.Severities[r.IntN(5)]), Lane{})
			}
			for {
				a, err := p.q.Next(p.now)
				if err != nil {
					t.Fatal(err)
				}
				if a.Verb == Hold {
					break
				}
				for _, it := range a.Items {
					if it.Pending.Number <= last[it.Lane] || seen[it.Pending.Number] && p.fail[it.Lane] == 0 {
						t.Fatalf("seed %d: %d of %s after %d", seed, it.Pending.Number, it.Lane, last[it.Lane])
					}
					if a.Group != "" && it.Pending.Severity == exposure.Critical {
						t.Fatalf("seed %d: a critical alert is grouped", seed)
					}
					last[it.Lane], seen[it.Pending.Number] = it.Pending.Number, true
				}
				p.done(a)
			}
			for _, l := range p.q.lanes {
				if l.urgent() {
					t.Fatalf("seed %d: the critical alerts of %s wait", seed, l.name)
				}
			}
			p.now = p.now.Add(time.Duration(r.IntN(10)) * time.Second)
		}
		p.run(p.now.Add(time.Hour))
		if p.q.Len() != 0 || p.q.Muted() != 0 || p.q.ready.Len()+p.q.waiting.Len() != 0 {
			t.Fatalf("seed %d: %d lanes are left", seed, p.q.Len())
		}
	}
}

func TestGroupKeys(t *testing.T) {
	a := &exposure.Alert{Partition: "aws", Account: "1"}
	b := &exposure.Alert{Partition: "aws", Account: "2"}
	a.Actor.ARN, b.Actor.ARN = "arn:eve", "arn:eve"
	unknown := &exposure.Alert{Partition: "aws", Account: "1"}
	account, actor := Group{}, Group{ByActor: true}
	if account.Key(a, nil) == account.Key(b, nil) || account.Key(a, nil) != account.Key(unknown, nil) {
		t.Error("by account")
	}
	if actor.Key(a, nil) != actor.Key(b, nil) || actor.Key(a, nil) == actor.Key(unknown, nil) || actor.Key(unknown, nil) != account.Key(unknown, nil) {
		t.Error("by actor")
	}
	if account.Key(a, []string{"x"}) == account.Key(a, nil) {
		t.Error("by recipients")
	}
}

// Who makes one exposure critical again and again, faster than the sink sends, delays no
// other critical one: it goes before all but a share of theirs. Within an exposure the
// order stays.
func TestOneExposureDelaysNoOther(t *testing.T) {
	p := newPlayer(t, Sink{})
	for range 1000 {
		p.add("flood updated critical", Lane{})
	}
	first, last, sent := 0, uint64(0), 0
	for p.q.Len() > 0 {
		if sent == 2*fairShare+1 {
			p.add("root opened critical", Lane{})
		}
		a, err := p.q.Next(monday)
		if err != nil || a.Verb != Send {
			t.Fatalf("got %+v, %v", a, err)
		}
		for _, it := range a.Items {
			sent++
			if it.Lane == "root" {
				first = sent
			} else if it.Pending.Number <= last {
				t.Fatalf("alert %d follows %d", it.Pending.Number, last)
			} else {
				last = it.Pending.Number
			}
			p.q.Done(it.Lane, 1)
		}
	}
	if sent != 1001 || first != 2*fairShare+2 {
		t.Errorf("%d were sent, the other exposure's as number %d", sent, first)
	}
}

// Who makes other exposures, faster than the sink sends, does not delay an exposure of
// many alerts without end, nor beyond what fairDelay allows.
func TestOthersDelayNoExposureWithoutEnd(t *testing.T) {
	p := newPlayer(t, Sink{})
	for range fairShare + 1 {
		p.add("busy updated high", Lane{})
	}
	sent := 0
	for i := range fairDelay + 2*fairShare {
		a, err := p.q.Next(monday)
		if err != nil || a.Verb != Send {
			t.Fatalf("got %+v, %v", a, err)
		}
		if a.Items[0].Lane == "busy" {
			sent++
		}
		p.q.Done(a.Items[0].Lane, 1)
		p.add(fmt.Sprintf("other%d opened high", i), Lane{})
	}
	if sent != fairShare+1 {
		t.Errorf("%d of %d alerts were sent", sent, fairShare+1)
	}
}
