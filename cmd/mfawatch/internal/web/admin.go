package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Admin manages the dead letters and the quarantine of journals. The commands
// call it directly while the service is stopped, and its Handler through a Client
// while it runs.
type Admin struct {
	journals func() []*journal.Journal
	append   func(ctx context.Context, events []*trail.Event) (fresh int, err error)
	metrics  *adminMetrics
	again    func(ctx context.Context, source, message string) error // nil: no source runs
}

// adminStep bounds the dead letters of one transaction.
const adminStep = 200

// NewAdmin returns the Admin of a running service.
func NewAdmin(s Service, reg prometheus.Registerer) *Admin {
	return &Admin{s.Journals, s.Append, newAdminMetrics(reg), s.Again}
}

// NewJournalAdmin returns the Admin of the journal of a stopped service.
func NewJournalAdmin(j *journal.Journal) *Admin {
	return &Admin{func() []*journal.Journal { return []*journal.Journal{j} }, j.Append, newAdminMetrics(prometheus.NewRegistry()), nil}
}

// sinks returns the sinks that were ever registered, sorted.
func (a *Admin) sinks() (names []string, err error) {
	for _, j := range a.journals() {
		some, err := j.Sinks()
		if err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Handler returns the API that a Client calls.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	change := func(pattern string, f func(context.Context, Selection) (Outcome, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s, err := selected(r)
			if err == nil && !s.All && len(s.IDs) == 0 {
				err = refused{http.StatusBadRequest, "want id=ID, once or more, or all=true"}
			}
			var result Outcome
			if err == nil {
				result, err = f(r.Context(), s)
			}
			answer(w, result, err)
		})
	}
	mux.HandleFunc("GET "+deadLettersPath, listing(a.ListDeadLetters))
	change("POST "+deadLettersPath+"/retry", a.RetryDeadLetters)
	change("DELETE "+deadLettersPath, a.DropDeadLetters)
	mux.HandleFunc("GET "+quarantinePath, listing(a.ListQuarantine))
	change("POST "+quarantinePath+"/retry", a.RetryQuarantine)
	change("DELETE "+quarantinePath, a.DropQuarantine)
	return mux
}

// listing answers with JSON lines, each as it is found.
func listing[T any](list func(context.Context, Selection, func(T) error) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := selected(r)
		lines := newLines(w)
		if err == nil {
			err = list(r.Context(), s, func(v T) error { return lines.write(v) })
		}
		lines.end(err)
	}
}

// A Selection selects dead letters or quarantined records. A list without IDs
// selects all.
type Selection struct {
	Sink string // "": of any
	IDs  []string
	All  bool
}

func (s Selection) has(id string) bool { return len(s.IDs) == 0 || slices.Contains(s.IDs, id) }

func selected(r *http.Request) (Selection, error) {
	q := r.URL.Query()
	s := Selection{Sink: q.Get("sink"), IDs: q["id"], All: q.Get("all") == "true"}
	if s.All && len(s.IDs) > 0 {
		return s, refused{http.StatusBadRequest, "want either id or all=true, got both"}
	}
	return s, nil
}

// A refused is a mistake of the caller.
type refused struct {
	status int
	reason string
}

func (e refused) Error() string { return e.reason }

// An Outcome is the result of an action on a selection.
type Outcome struct {
	Done    int      `json:"done"`              // retried or dropped
	Unknown []string `json:"unknown,omitempty"` // IDs not found
	Still   []string `json:"still,omitempty"`   // records that still cannot be read
	Events  int      `json:"events,omitempty"`  // new ones, of the records retried
}

// Missing returns the wanted IDs that were not found.
func Missing(wanted, found []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(id string) bool { return slices.Contains(found, id) })
}

// answer writes the result of a change.
func answer(w http.ResponseWriter, result any, err error) {
	var wrong refused
	switch {
	case errors.As(err, &wrong):
		plain(w, wrong.status, wrong.reason+"\n")
	case err != nil:
		plain(w, http.StatusInternalServerError, err.Error()+"\n")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(result) // the client is gone
	}
}
