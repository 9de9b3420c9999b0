package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// An AlertPage is a page of the alerts, the newest first.
type AlertPage struct {
	Alerts []outbox.Recorded `json:"alerts"`
	Next   uint64            `json:"next,omitempty"` // the value of before for the next page
}

// A SinkStatus tells how a sink does.
type SinkStatus struct {
	Name          string     `json:"name"`
	Ready         bool       `json:"ready"`
	Problem       string     `json:"problem,omitempty"`
	Pending       int        `json:"pending"`
	OldestPending *time.Time `json:"oldest_pending"` // when it was journalled; null if none is pending
	DeadLetters   int        `json:"dead_letters"`
}

// A SinkList lists the sinks by name.
type SinkList struct {
	Sinks []SinkStatus `json:"sinks"`
}

// A SourceList lists the sources by name.
type SourceList struct {
	Sources []SourceStatus `json:"sources"`
}

// A SourceStatus tells how a source does.
type SourceStatus struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Problem string `json:"problem,omitempty"`
}

// maxProblem bounds the text of a problem, in bytes.
const maxProblem = 500

// A route is one operation of the API.
type route struct {
	pattern string // method and path, as http.ServeMux has them
	serve   http.HandlerFunc
}

func handlerOf(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.pattern, r.serve)
	}
	return mux
}

// routes returns the operations on a journal.
func (a *Admin) routes() []route {
	return []route{
		{"GET " + exposuresPath, answering(func(r *http.Request) (any, error) {
			f, err := filtered(r)
			if err != nil {
				return nil, err
			}
			return a.ListExposures(r.Context(), f)
		})},
		{"GET " + exposuresPath + "/{id}", answering(func(r *http.Request) (any, error) { return a.ShowExposure(r.Context(), r.PathValue("id")) })},
		{"POST " + exposuresPath + "/{id}/close", answering(func(r *http.Request) (any, error) {
			c, err := closing(r)
			if err != nil {
				return nil, err
			}
			return c, a.CloseExposure(r.Context(), r.PathValue("id"), c)
		})},
		{"GET " + alertsPath, answering(func(r *http.Request) (any, error) {
			before, limit, err := listed(r.URL.Query())
			if err != nil {
				return nil, err
			}
			return a.ListAlerts(before, limit)
		})},
		{"GET " + deadLettersPath, listing(a.ListDeadLetters)},
		{"POST " + deadLettersPath + "/retry", changing(a.RetryDeadLetters)},
		{"DELETE " + deadLettersPath, changing(a.DropDeadLetters)},
		{"GET " + quarantinePath, listing(a.ListQuarantine)},
		{"POST " + quarantinePath + "/retry", changing(a.RetryQuarantine)},
		{"DELETE " + quarantinePath, changing(a.DropQuarantine)},
		{"GET " + backupPath, a.serveBackup},
	}
}

// serviceRoutes returns the operations on a running service.
func serviceRoutes(s Service) []route {
	return []route{
		{"GET " + sinksPath, answering(func(*http.Request) (any, error) {
			all, err := sinkStatuses(s)
			return SinkList{all}, err
		})},
		{"GET " + sourcesPath, answering(func(*http.Request) (any, error) { return SourceList{sourceStatuses(s)}, nil })},
	}
}

// answering answers with the JSON of a result.
func answering(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		result, err := f(r)
		answer(w, result, err)
	}
}

// changing answers with the outcome of an action on a selection.
func changing(f func(context.Context, Selection) (Outcome, error)) http.HandlerFunc {
	return answering(func(r *http.Request) (any, error) {
		s, err := selected(r)
		if err != nil {
			return nil, err
		}
		if !s.All && len(s.IDs) == 0 {
			return nil, refused{http.StatusBadRequest, "want id=ID, once or more, or all=true"}
		}
		return f(r.Context(), s)
	})
}

func sinkStatuses(s Service) ([]SinkStatus, error) {
	st, err := s.Stats()
	if err != nil {
		return nil, err
	}
	all := []SinkStatus{}
	for _, part := range partsOf(s, "sink ") {
		of := st.Sinks[part.Name]
		x := SinkStatus{Name: part.Name, Ready: part.Problem == "", Problem: part.Problem, Pending: of.Pending, DeadLetters: of.Dead}
		if !of.Oldest.IsZero() {
			x.OldestPending = &of.Oldest
		}
		all = append(all, x)
	}
	return all, nil
}

func sourceStatuses(s Service) []SourceStatus {
	all := []SourceStatus{}
	for _, part := range partsOf(s, "source ") {
		all = append(all, SourceStatus{Name: part.Name, Ready: part.Problem == "", Problem: part.Problem})
	}
	return all
}

// partsOf returns the parts of a service whose names have the prefix, without it.
func partsOf(s Service, prefix string) (all []pagePart) {
	for name, err := range s.Ready {
		if name, ok := strings.CutPrefix(name, prefix); ok {
			all = append(all, pagePart{Name: name, Problem: problem(err)})
		}
	}
	slices.SortFunc(all, func(a, b pagePart) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// problem returns an error as bounded text in one line, "" if there is none.
func problem(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(safetext.Clean(line(err.Error()), maxProblem), "failing")
}

// ListAlerts returns the alerts whose number is less than before, 0: the newest.
// Each of several journals counts by itself, so there is one page of the newest.
func (a *Admin) ListAlerts(before uint64, limit int) (AlertPage, error) {
	limit = cmp.Or(limit, defaultLimit)
	if before > 0 && len(a.journals()) != 1 {
		return AlertPage{}, refused{http.StatusBadRequest, "before: a journal that replicas share has no one order; ask for more with limit, or for one exposure"}
	}
	alerts, err := latestOf(a.journals(), before, limit)
	page := AlertPage{Alerts: append([]outbox.Recorded{}, alerts...)}
	if len(alerts) == limit && len(a.journals()) == 1 {
		page.Next = alerts[limit-1].Number
	}
	return page, err
}

// latestOf returns the newest alerts of the journals, the newest first.
func latestOf(journals []*journal.Journal, before uint64, limit int) (all []outbox.Recorded, err error) {
	for _, j := range journals {
		some, err := j.Latest(before, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if len(journals) > 1 {
		slices.SortStableFunc(all, func(a, b outbox.Recorded) int { return b.Alert.Time.Compare(a.Alert.Time) })
	}
	return all[:min(len(all), limit)], nil
}

// listed returns the bounds of a request for alerts.
func listed(q url.Values) (before uint64, limit int, err error) {
	if limit, err = limited(q); err != nil {
		return 0, 0, err
	}
	if text := q.Get("before"); text != "" {
		if before, err = strconv.ParseUint(text, 10, 64); err != nil || before == 0 {
			return 0, 0, refused{http.StatusBadRequest, "before: want the value of next in the page before"}
		}
	}
	return before, limit, nil
}
