package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// An admin is what people do about alerts that no sink took and records that
// nobody could read, as HTTP. The commands speak to it over the network where
// the service runs, and within their process where it does not.
type admin struct {
	journal *journal.Journal
	metrics *metrics
	again   func(ctx context.Context, source, message string) error // nil: no source runs
}

// How much is taken from or put into the journal in one step.
const adminStep = 200

func newAdmin(j *journal.Journal, m *metrics, again func(ctx context.Context, source, message string) error) http.Handler {
	a := &admin{j, m, again}
	mux := http.NewServeMux()
	handle := func(pattern string, f func(context.Context, selection) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s, err := selected(r)
			if err == nil && !s.all && len(s.ids) == 0 {
				err = refused{http.StatusBadRequest, "want id=ID, once or more, or all=true"}
			}
			var result any
			if err == nil {
				result, err = f(r.Context(), s)
			}
			answer(w, result, err)
		})
	}
	mux.HandleFunc("GET /api/v1/deadletters", a.listDead)
	handle("POST /api/v1/deadletters/retry", a.retryDead)
	handle("DELETE /api/v1/deadletters", a.dropDead)
	mux.HandleFunc("GET /api/v1/quarantine", a.listAsides)
	handle("POST /api/v1/quarantine/retry", a.retryAsides)
	handle("DELETE /api/v1/quarantine", a.dropAsides)
	return mux
}

// A selection is which dead letters or records are meant. In a list, no IDs
// means all.
type selection struct {
	sink string
	ids  []string
	all  bool
}

func (s selection) has(id string) bool { return len(s.ids) == 0 || slices.Contains(s.ids, id) }

func selected(r *http.Request) (selection, error) {
	q := r.URL.Query()
	s := selection{sink: q.Get("sink"), ids: q["id"], all: q.Get("all") == "true"}
	if s.all && len(s.ids) > 0 {
		return s, refused{http.StatusBadRequest, "want either id or all=true, got both"}
	}
	return s, nil
}

// A refused is an error that the caller made.
type refused struct {
	status int
	reason string
}

func (e refused) Error() string { return e.reason }

// An outcome is what became of a selection.
type outcome struct {
	Done    int      `json:"done"`              // retried or dropped
	Unknown []string `json:"unknown,omitempty"` // IDs that nothing has
	Still   []string `json:"still,omitempty"`   // records that still cannot be read
	Events  int      `json:"events,omitempty"`  // new ones, from records that were retried
}

func missing(wanted, found []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(id string) bool { return slices.Contains(found, id) })
}

// answer writes what a change came to.
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
		_ = json.NewEncoder(w).Encode(result) // who asked is gone
	}
}
