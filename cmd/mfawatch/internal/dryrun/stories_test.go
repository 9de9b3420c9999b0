package dryrun

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var updateStories = flag.Bool("update-stories", false, "write the outcomes of the stories into their files, to be read and judged by a person")

// storySinks get the alerts of the stories: what they are is all that
// matters for who is notified.
const storySinks = `
sources: {trail: {type: files, paths: [trail.json]}}
sinks:
  audit: {type: file, path: alerts.jsonl}
  chat: {type: stdout, format: text}
  mail: {type: stdout, format: text}
  pager: {type: stdout, format: text}
`

var storyKinds = map[string]route.Kind{"audit": route.Machine, "chat": route.Reader, "mail": route.Reader, "pager": route.Pager}

// storyWeek is the Monday on which the stories begin.
var storyWeek = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

// A story is a file of testdata/stories; its README says how it is written.
type story struct {
	about  string // everything before the records
	policy string
	until  time.Time
	lines  []storyLine
	alerts string
}

// A storyLine is a record, and when it is seen.
type storyLine struct {
	record map[string]any
	seen   time.Time
}

func storyPaths(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../../../testdata/stories/*.txt")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d stories, %v; want 40 at least", len(paths), err)
	}
	return paths
}

func storyName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".txt") }

// openStory reads a story, and returns its text, too.
func openStory(t *testing.T, path string) (string, *story) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := readStory(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), s
}

func TestStories(t *testing.T) {
	rules := map[string]bool{}
	for _, path := range storyPaths(t) {
		t.Run(storyName(path), func(t *testing.T) {
			text, s := openStory(t, path)
			for _, rule := range regexp.MustCompile(`\b[RJ]\d+`).FindAllString(s.about, -1) {
				rules[rule] = true
			}
			got, err := s.outcome(false)
			if err != nil {
				t.Fatal(err)
			}
			if *updateStories {
				head, _, _ := strings.Cut(text, "\nalerts:\n")
				if err := os.WriteFile(path, []byte(head+"\nalerts:\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != s.alerts {
				t.Errorf("got\n%s\nwant\n%s", got, s.alerts)
			}
			// What comes at one time may come in any order, and twice (R29, R30).
			if other, err := s.outcome(true); err != nil || other != got {
				t.Errorf("the other way round, and twice: %v\n%s\nwant\n%s", err, other, got)
			}
		})
	}
	for n := 17; n <= 32; n++ {
		if !rules[fmt.Sprintf("R%d", n)] {
			t.Errorf("no story names R%d", n)
		}
	}
	for n := 1; n <= 21; n++ {
		if !rules[fmt.Sprintf("J%d", n)] {
			t.Errorf("no story names J%d", n)
		}
	}
}

// outcome returns the outcome of play, as the stories write it.
func (s *story) outcome(shuffled bool) (string, error) {
	all, _, err := s.play(shuffled)
	var b strings.Builder
	for _, said := range all {
		b.WriteString(said.show() + "\n")
	}
	return b.String(), err
}

// play runs the records through scanner, fold, policy and routes.
func (s *story) play(shuffled bool) ([]*Alert, *route.Router, error) {
	policy, err := os.ReadFile("../../../../testdata/stories/policies/" + s.policy + ".yaml")
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Load(s.policy+".yaml", append(policy, storySinks...), nil, nil)
	if err != nil {
		return nil, nil, err
	}
	router, err := route.New(c.Routes, storyKinds, c.Policy().Accounts, time.UTC)
	if err != nil {
		return nil, nil, err
	}
	lines := slices.Clone(s.lines)
	if shuffled {
		slices.Reverse(lines)
		lines = append(lines, lines...)
	}
	var seen []Arrival
	for _, l := range lines {
		record, err := json.Marshal(map[string]any{"Records": []any{l.record}})
		if err != nil {
			return nil, nil, err
		}
		var found storyVisitor
		if _, err := trail.NewScanner().Scan(trail.Place("story"), bytes.NewReader(record), &found); err != nil {
			return nil, nil, err
		}
		if found.unreadable != "" {
			return nil, nil, fmt.Errorf("unreadable: %s: %s", found.unreadable, record)
		}
		for _, e := range found.events {
			seen = append(seen, Arrival{l.seen, e})
		}
	}
	people := map[string]bool{}
	for name, kind := range storyKinds {
		people[name] = kind != route.Machine
	}
	rules := c.Policy()
	rules.Retention = 0                                 // all of it is here
	said := Run(byAccount(seen), rules, s.until.Add(1)) // what happens then belongs to it
	Simulate(said, router, people, s.until)
	return said, router, nil
}

type storyVisitor struct {
	events     []*trail.Event
	unreadable string
}

func (v *storyVisitor) Event(e *trail.Event)          { v.events = append(v.events, e) }
func (v *storyVisitor) Unreadable(u trail.Unreadable) { v.unreadable = u.Err.Error() }

// show is an alert as the stories write it.
func (s *Alert) show() string {
	a := s.Alert
	step := string(a.Step)
	switch {
	case a.Resolution != nil:
		step += "/" + *a.Resolution
	case a.Escalation != nil:
		step += fmt.Sprintf("/%d", *a.Escalation)
	case a.Attempts != nil:
		step += fmt.Sprintf("/%d", a.Attempts.Count)
	}
	who := "somebody"
	switch {
	case a.Users != nil:
		who = strings.Join(a.Users.Names, "+")
	case a.Root:
		who = "root"
	case a.User != nil:
		who = *a.User
	}
	if a.Account != storyAccount {
		who += "@" + a.Account
	}
	var notified []string
	for _, d := range s.sinks {
		if d.at.IsZero() {
			continue
		}
		text := d.sink
		if d.To != nil {
			text += " for " + strings.Join(d.To, "+")
		}
		if d.at.After(s.At) {
			text += " at " + storyTime(d.at)
		}
		notified = append(notified, text)
	}
	if notified == nil {
		notified = []string{"nobody"}
	}
	reasons := strings.Join(a.Reasons, ", ")
	if a.Rule != "" {
		reasons += "; " + a.Rule
	}
	return fmt.Sprintf("  %-9s  %-21s %-8s  %-10s (%s) -> %s", storyTime(s.At), step, a.Severity, who, reasons, strings.Join(notified, ", "))
}
