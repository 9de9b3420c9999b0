package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The states of an Exposure. A suspect one is open, too.
const (
	StateOpen     = "open"
	StateSuspect  = "suspect"
	StateResolved = "resolved"
	StateReduced  = "reduced" // another device is left, so nothing has to end it
)

var exposureStates = []string{StateOpen, StateSuspect, StateResolved, StateReduced}

// An Exposure sums up an exposure that is open, or of which an alert is kept.
type Exposure struct {
	ID          string            `json:"id"`
	State       string            `json:"state"`
	Severity    exposure.Severity `json:"severity"` // open: as of now; else the highest that was alerted
	Partition   string            `json:"partition,omitempty"`
	Account     string            `json:"account"`
	AccountName string            `json:"account_name,omitempty"`
	User        string            `json:"user"` // "" when unknown
	Root        bool              `json:"root"`
	OpenedAt    time.Time         `json:"opened_at"`
	ResolvedAt  *time.Time        `json:"resolved_at"` // null while it is open
	Resolution  string            `json:"resolution,omitempty"`
	Campaign    string            `json:"campaign,omitempty"`
}

// An ExposureFilter selects exposures. The zero value selects all.
type ExposureFilter struct {
	States     []string // open includes suspect
	Severities []string
	Account    string
	User       string
	After      string // Next of the page before
	Limit      int    // 0: 100; at most 1000
}

// Bounds of a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// An ExposurePage is a page of a list of exposures, the one that opened last first.
type ExposurePage struct {
	Exposures []Exposure `json:"exposures"`
	Next      string     `json:"next,omitempty"` // After of the next page; "" if there is none
}

// An ExposureStory is an exposure with its alerts and their deliveries.
type ExposureStory struct {
	Exposure
	Alerts []outbox.Recorded `json:"alerts"` // the newest first
}

// maxStory bounds the alerts of a story.
const maxStory = 1000

func (f ExposureFilter) validate() error {
	for _, v := range f.States {
		if err := oneOf("state", v, exposureStates...); err != nil {
			return err
		}
	}
	for _, v := range f.Severities {
		if err := oneOf("severity", v, severities()...); err != nil {
			return err
		}
	}
	if f.Limit < 0 || f.Limit > maxLimit {
		return refused{http.StatusBadRequest, fmt.Sprintf("limit: want 1 to %d, got %d", maxLimit, f.Limit)}
	}
	return nil
}

// oneOf refuses a word that is not known.
func oneOf(name, word string, known ...string) error {
	if wrong := config.OneOf(name, word, known...); wrong != nil {
		return refused{http.StatusBadRequest, name + ": " + wrong[0].Problem}
	}
	return nil
}

// severities returns the words for them, the highest last.
func severities() (words []string) {
	for _, s := range exposure.Severities {
		words = append(words, string(s))
	}
	return words
}

// wants reports whether a state is selected.
func (f ExposureFilter) wants(state string) bool {
	return len(f.States) == 0 || slices.Contains(f.States, state) || state == StateSuspect && slices.Contains(f.States, StateOpen)
}

func (f ExposureFilter) has(x *Exposure) bool {
	return f.wants(x.State) && (len(f.Severities) == 0 || slices.Contains(f.Severities, string(x.Severity))) &&
		(f.Account == "" || f.Account == x.Account || f.Account == x.AccountName) &&
		(f.User == "" || strings.EqualFold(f.User, x.User) || x.Root && strings.EqualFold(f.User, "root"))
}

// ListExposures returns the page of selected exposures.
func (a *Admin) ListExposures(_ context.Context, f ExposureFilter) (ExposurePage, error) {
	page := ExposurePage{Exposures: []Exposure{}}
	if err := f.validate(); err != nil {
		return page, err
	}
	all, err := a.exposures(f)
	if err != nil {
		return page, err
	}
	slices.SortFunc(all, Exposure.compare)
	if f.After != "" {
		if all, err = after(all, f.After); err != nil {
			return page, err
		}
	}
	if limit := cmp.Or(f.Limit, defaultLimit); len(all) > limit {
		all = all[:limit]
		page.Next = all[limit-1].place()
	}
	page.Exposures = append(page.Exposures, all...)
	return page, nil
}

// compare puts the exposure that opened last first.
func (x Exposure) compare(y Exposure) int {
	return cmp.Or(y.OpenedAt.Compare(x.OpenedAt), strings.Compare(x.ID, y.ID))
}

// place names where an exposure stands in a list.
func (x *Exposure) place() string { return x.OpenedAt.Format(time.RFC3339Nano) + "/" + x.ID }

// after returns the exposures behind a place in the order of a list.
func after(all []Exposure, place string) ([]Exposure, error) {
	text, id, ok := strings.Cut(place, "/")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !ok {
		return nil, refused{http.StatusBadRequest, "after: want the value of next in the page before"}
	}
	return slices.DeleteFunc(all, func(x Exposure) bool {
		c := x.OpenedAt.Compare(at)
		return c > 0 || c == 0 && x.ID <= id
	}), nil
}

// exposures returns those that are selected, in no order. It reads the alerts only
// if some that are over are wanted.
func (a *Admin) exposures(f ExposureFilter) (all []Exposure, err error) {
	open := map[string]bool{}
	for o := range a.openExposures {
		open[o.ID] = true
		if x := a.openExposure(o); f.has(&x) {
			all = append(all, x)
		}
	}
	if !f.wants(StateResolved) && !f.wants(StateReduced) {
		return all, nil
	}
	for _, j := range a.journals() {
		err = j.Summaries(func(s outbox.Summary) bool {
			if x := overExposure(s); !open[x.ID] && s.Last.Users == nil && f.has(&x) {
				all = append(all, x)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// openExposures yields the open exposures of all journals.
func (a *Admin) openExposures(yield func(exposure.Open) bool) {
	for _, j := range a.journals() {
		for _, o := range j.Open() {
			if !yield(o) {
				return
			}
		}
	}
}

func (a *Admin) openExposure(o exposure.Open) Exposure {
	x := Exposure{ID: o.ID, State: StateOpen, Severity: o.Severity, Partition: o.Partition, Account: o.Account, User: o.User, Root: o.Root,
		OpenedAt: o.OpenedAt.UTC(), Campaign: o.Campaign, AccountName: a.accountName(o.Account)}
	if o.Suspect {
		x.State = StateSuspect
	}
	return x
}

// overExposure sums up an exposure that is not open, or the like.
func overExposure(s outbox.Summary) Exposure {
	l := s.Last
	x := Exposure{ID: *l.Exposure, State: StateReduced, Severity: s.Severity, Partition: l.Partition, Account: l.Account, AccountName: l.AccountName,
		User: deref(l.User), Root: l.Root, OpenedAt: l.Time.UTC(), ResolvedAt: l.ResolvedAt, Resolution: deref(l.Resolution), Campaign: l.Campaign}
	if l.OpenedAt != nil {
		x.OpenedAt = l.OpenedAt.UTC()
	}
	if l.Step == exposure.Resolved {
		x.State = StateResolved
	}
	return x
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// ShowExposure returns an exposure, or a campaign, with its story.
func (a *Admin) ShowExposure(_ context.Context, id string) (ExposureStory, error) {
	var alerts []outbox.Recorded
	for _, j := range a.journals() {
		some, err := j.Story(id, maxStory)
		if err != nil {
			return ExposureStory{}, err
		}
		alerts = append(alerts, some...)
	}
	story := ExposureStory{Alerts: alerts}
	if o, ok := a.open(id); ok {
		story.Exposure = a.openExposure(o)
		return story, nil
	}
	if len(alerts) == 0 {
		return story, NotFound{fmt.Sprintf("no exposure has the ID %s, or it is older than the retention", config.Bounded(id))}
	}
	last := *alerts[0].Alert
	s := outbox.Summary{Last: &last, Severity: last.Severity}
	for _, r := range alerts {
		if slices.Index(exposure.Severities, r.Alert.Severity) > slices.Index(exposure.Severities, s.Severity) {
			s.Severity = r.Alert.Severity
		}
	}
	if last.Exposure == nil { // an attempt, by its own ID
		last.Exposure = &last.ID
	}
	story.Exposure = overExposure(s)
	return story, nil
}

func (a *Admin) open(id string) (exposure.Open, bool) {
	for o := range a.openExposures {
		if o.ID == id {
			return o, true
		}
	}
	return exposure.Open{}, false
}

// A Closing is a person's end of an exposure.
type Closing struct {
	By   string `json:"by"`
	Note string `json:"note"`
}

// Bounds of a Closing, in bytes.
const (
	maxBy   = 80
	maxNote = 500
)

// CloseExposure ends an open exposure by the word of a person. The next fold alerts
// it; if the exposure is exploited later, it opens again.
func (a *Admin) CloseExposure(ctx context.Context, id string, c Closing) error {
	by, note := strings.TrimSpace(c.By), strings.TrimSpace(c.Note)
	switch {
	case by == "" || len(by) > maxBy:
		return refused{http.StatusBadRequest, fmt.Sprintf("by: want the name of the person who closes it, at most %d bytes", maxBy)}
	case note == "" || len(note) > maxNote:
		return refused{http.StatusBadRequest, fmt.Sprintf("note: want what was found, at most %d bytes", maxNote)}
	}
	o, ok := a.open(id)
	if !ok {
		story, err := a.ShowExposure(ctx, id)
		if err != nil {
			return err
		}
		return refused{http.StatusConflict, fmt.Sprintf("no need: the exposure is %s", story.State)}
	}
	_, err := a.append(ctx, []*trail.Event{exposure.Close(o, by, note, time.Now())})
	return err
}
