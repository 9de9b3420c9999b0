package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// A SinkStatus is the state of a sink.
type SinkStatus struct {
	Name          string     `json:"name"`
	Ready         bool       `json:"ready"`
	Problem       string     `json:"problem,omitempty"`
	Pending       int        `json:"pending"`
	OldestPending *time.Time `json:"oldest_pending"` // when it was journalled; null if none is pending
	DeadLetters   int        `json:"dead_letters"`
	LastSuccess   *time.Time `json:"last_success"` // null if nothing was delivered since the start
}

// A SinkList lists the sinks by name.
type SinkList struct {
	Sinks []SinkStatus `json:"sinks"`
}

// A SourceList lists the sources by name.
type SourceList struct {
	Sources []SourceStatus `json:"sources"`
}

// A SourceStatus is the state of a source.
type SourceStatus struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Problem string `json:"problem,omitempty"`

	LastSuccess *time.Time `json:"last_success"` // when it last brought a record; null if it did not since the start
}

// maxProblem bounds the text of a problem, in bytes.
const maxProblem = 500

// A route is one operation of the API.
type route struct {
	pattern    string // method and path, as http.ServeMux has them
	parameters string // that the query may have, separated by blanks; with *: several times
	serve      http.HandlerFunc
}

func handlerOf(routes []route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, of := range routes {
		mux.HandleFunc(of.pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := of.wellAsked(r.URL.RawQuery); err != nil {
				answer(w, nil, err)
				return
			}
			of.serve(w, r)
		})
	}
	return mux
}

// wellAsked refuses a query that would be understood in part: all=true with a
// misspelt sink would drop the dead letters of all sinks.
func (of route) wellAsked(query string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return refused{http.StatusBadRequest, "want a query such as a=b&c=d, with %25 for % and %3B for ;"}
	}
	known := strings.Fields(of.parameters)
	for _, name := range slices.Sorted(maps.Keys(q)) {
		switch several := slices.Contains(known, name+"*"); {
		case !several && !slices.Contains(known, name):
			names := strings.ReplaceAll(strings.Join(known, ", "), "*", "")
			return refused{http.StatusBadRequest, fmt.Sprintf("%s: unknown parameter; known are: %s", config.Clean(name), cmp.Or(names, "none"))}
		case slices.Contains(q[name], ""): // such as of a variable of a shell that is not set
			return refused{http.StatusBadRequest, name + ": want a value, or no " + name}
		case !several && len(q[name]) > 1:
			return refused{http.StatusBadRequest, fmt.Sprintf("%s: want it once, got it %d times", name, len(q[name]))}
		}
	}
	return nil
}

// A manager lists, shows and changes what journals hold: an Admin those of this
// process, a Client those of a service, a query those of all replicas.
type manager interface {
	ListExposures(context.Context, ExposureFilter) (ExposurePage, error)
	ShowExposure(ctx context.Context, id string) (ExposureStory, error)
	CloseExposure(ctx context.Context, id string, c Closing) error
	ListAlerts(ctx context.Context, before string, limit int) (AlertPage, error)
	ListDeadLetters(context.Context, Selection, func(DeadLetter) error) error
	RetryDeadLetters(context.Context, Selection) (Outcome, error)
	DropDeadLetters(context.Context, Selection) (Outcome, error)
	ListQuarantine(context.Context, Selection, func(journal.Quarantined) error) error
	RetryQuarantine(context.Context, Selection) (Outcome, error)
	DropQuarantine(context.Context, Selection) (Outcome, error)
}

// routes returns the operations on a journal.
func (a *Admin) routes() []route {
	return append(routesOf(a), route{"GET " + backupPath, "", a.serveBackup})
}

func routesOf(a manager) []route {
	return []route{
		{"GET " + exposuresPath, "state* severity* account user after limit", answering(func(r *http.Request) (any, error) {
			f, err := filtered(r)
			if err != nil {
				return nil, err
			}
			return a.ListExposures(r.Context(), f)
		})},
		{"GET " + exposuresPath + "/{id}", "", answering(func(r *http.Request) (any, error) { return a.ShowExposure(r.Context(), r.PathValue("id")) })},
		{"POST " + exposuresPath + "/{id}/close", "", answering(func(r *http.Request) (any, error) {
			c, err := closing(r)
			if err != nil {
				return nil, err
			}
			return c, a.CloseExposure(r.Context(), r.PathValue("id"), c)
		})},
		{"GET " + alertsPath, "before limit", answering(func(r *http.Request) (any, error) {
			limit, err := limited(r.URL.Query())
			if err != nil {
				return nil, err
			}
			return a.ListAlerts(r.Context(), r.URL.Query().Get("before"), limit)
		})},
		{"GET " + deadLettersPath, "id* sink", listing(a.ListDeadLetters)},
		{"POST " + deadLettersPath + "/retry", "id* all sink", changing(a.RetryDeadLetters)},
		{"DELETE " + deadLettersPath, "id* all sink", changing(a.DropDeadLetters)},
		{"GET " + quarantinePath, "id*", listing(a.ListQuarantine)},
		{"POST " + quarantinePath + "/retry", "id* all", changing(a.RetryQuarantine)},
		{"DELETE " + quarantinePath, "id* all", changing(a.DropQuarantine)},
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
		return despite(f(r.Context(), s))
	})
}

// sinks returns how the sinks do, by name.
func (b board) sinks(st journal.Stats) []SinkStatus {
	all, problems := []SinkStatus{}, b.problems("sink")
	for _, name := range b.Sinks() {
		of := st.Sinks[name]
		all = append(all, SinkStatus{Name: name, Ready: problems[name] == "", Problem: problems[name], Pending: of.Pending,
			OldestPending: utc(of.Oldest), DeadLetters: of.Dead, LastSuccess: utc(b.history.LastSuccess("sink", name))})
	}
	return all
}

// sources returns how the sources do, by name.
func (b board) sources() []SourceStatus {
	all, problems := []SourceStatus{}, b.problems("source")
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		all = append(all, SourceStatus{Name: name, Ready: problems[name] == "", Problem: problems[name], LastSuccess: utc(b.history.LastSuccess("source", name))})
	}
	return all
}

// problem returns an error as bounded text in one line, "" if there is none.
func problem(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(safetext.Clean(line(err.Error()), maxProblem), "failing")
}
