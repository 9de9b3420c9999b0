package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Admin manages the exposures, the dead letters and the quarantine of journals.
// The commands call it directly while the service is stopped, and its Handler
// through a Client while it runs.
type Admin struct {
	journals    func() []*journal.Journal
	numbered    iter.Seq2[int, *journal.Journal] // the same with their partitions; -1: a file
	append      func(ctx context.Context, events []*trail.Event) (fresh int, err error)
	metrics     *adminMetrics
	again       func(ctx context.Context, source, message string) error // nil: no source runs
	accountName func(number string) string                              // "" if it has none
}

// adminStep bounds the dead letters of one transaction.
const adminStep = 200

// NewAdmin returns the Admin of a running service.
func NewAdmin(s Service, reg prometheus.Registerer) *Admin {
	name := func(number string) string { return s.Config().Accounts[number].Name }
	return &Admin{s.Journals, s.Numbered, s.Append, newAdminMetrics(reg), s.Again, name}
}

// NewJournalAdmin returns the Admin of the journal of a stopped service.
func NewJournalAdmin(j *journal.Journal) *Admin {
	name := func(string) string { return "" }
	only := func() []*journal.Journal { return []*journal.Journal{j} }
	return &Admin{only, func(yield func(int, *journal.Journal) bool) { yield(-1, j) }, j.Append, newAdminMetrics(prometheus.NewRegistry()), nil, name}
}

// An Offline is a shared journal without a replica.
type Offline interface {
	Journals() []*journal.Journal
	Numbered(yield func(partition int, j *journal.Journal) bool)
	Append(ctx context.Context, events []*trail.Event) (fresh int, err error)
}

// NewOfflineAdmin returns the Admin of a shared journal without a replica.
func NewOfflineAdmin(o Offline) *Admin {
	name := func(string) string { return "" }
	return &Admin{o.Journals, o.Numbered, o.Append, newAdminMetrics(prometheus.NewRegistry()), nil, name}
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
func (a *Admin) Handler() http.Handler { return handlerOf(a.routes()) }

// listing answers with JSON lines; HEAD lists nothing.
func listing[T any](list func(context.Context, Selection, func(T) error) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := selected(r)
		lines := &stream{w: w, kind: "application/x-ndjson"}
		e := json.NewEncoder(lines)
		e.SetEscapeHTML(false)
		if err == nil && r.Method != http.MethodHead {
			err = list(r.Context(), s, func(v T) error { return e.Encode(v) })
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
	switch all := q.Get("all"); {
	case all != "" && all != "true" && all != "false":
		return s, refused{http.StatusBadRequest, fmt.Sprintf("all: want true, got %q", config.Bounded(all))}
	case s.All && len(s.IDs) > 0:
		return s, refused{http.StatusBadRequest, "want either id or all=true, got both"}
	}
	return s, nil
}

// filtered returns the filter of a request.
func filtered(r *http.Request) (f ExposureFilter, err error) {
	q := r.URL.Query()
	f = ExposureFilter{States: q["state"], Severities: q["severity"], Account: q.Get("account"), User: q.Get("user"), After: q.Get("after")}
	f.Limit, err = limited(q)
	return f, err
}

// limited returns the limit of a request, 0 if it names none.
func limited(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, refused{http.StatusBadRequest, fmt.Sprintf("limit: want 1 to %d, got %q", maxLimit, config.Bounded(text))}
	}
	return n, nil
}

// maxClosing bounds the body of a request to close an exposure.
const maxClosing = 16 << 10

func closing(r *http.Request) (c Closing, err error) {
	d := json.NewDecoder(io.LimitReader(r.Body, maxClosing))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, refused{http.StatusBadRequest, `want a body such as {"by":"ann","note":"bob has a new phone"}`}
	}
	return c, nil
}

// A refused is a mistake of the caller.
type refused struct {
	status int
	reason string
}

func (e refused) Error() string { return e.reason }

// A NotFound is the error for an ID that names nothing.
type NotFound struct{ Reason string }

// Error returns the reason.
func (e NotFound) Error() string { return e.Reason }

// An Outcome is the result of an action on a selection.
type Outcome struct {
	Done    int      `json:"done"`              // retried or dropped
	Unknown []string `json:"unknown,omitempty"` // IDs not found
	Still   []string `json:"still,omitempty"`   // records that still cannot be read
	Events  int      `json:"events,omitempty"`  // new ones, of the records retried

	// Messages are those of Done that their source read again: it journals their
	// events itself.
	Messages int `json:"messages,omitempty"`

	Failed []string `json:"failed,omitempty"` // why not all was done
}

func (o *Outcome) add(p Outcome) {
	o.Done, o.Events, o.Messages = o.Done+p.Done, o.Events+p.Events, o.Messages+p.Messages
	o.Unknown, o.Still, o.Failed = append(o.Unknown, p.Unknown...), append(o.Still, p.Still...), append(o.Failed, p.Failed...)
}

// despite returns an error after something was done as a part of the outcome, so
// that neither hides the other.
func despite(o Outcome, err error) (Outcome, error) {
	if err == nil || o.Done == 0 {
		return o, err
	}
	o.Failed = append(o.Failed, line(err.Error()))
	return o, nil
}

// Missing returns the wanted IDs that were not found.
func Missing(wanted, found []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(id string) bool { return slices.Contains(found, id) })
}

// answer writes the result of a change.
func answer(w http.ResponseWriter, result any, err error) {
	var wrong refused
	var missing NotFound
	switch {
	case errors.As(err, &missing):
		plain(w, http.StatusNotFound, missing.Reason+"\n")
	case errors.As(err, &wrong):
		plain(w, wrong.status, line(err.Error())+"\n")
	case err != nil:
		plain(w, http.StatusInternalServerError, err.Error()+"\n")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		_ = e.Encode(result) // the client is gone
	}
}
