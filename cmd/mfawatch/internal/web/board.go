package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/history"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A board has the state of a running service that pages and API show.
type board struct {
	Service
	admin   *Admin
	health  *health
	history *history.History
	group   *group
}

func newBoard(s Service, admin *Admin) board {
	return board{s, admin, &health{started: time.Now()}, new(history.History), &group{service: s, admin: admin}}
}

// lookEvery is how often health and metrics are looked at while no page is open.
const lookEvery = 5 * time.Second

// watch looks until ctx is done.
func (b board) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		b.health.look(b.Ready)
		metrics, _ := b.Gather() // what it can; /metrics names what it cannot
		b.history.Look(time.Now(), metrics)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// An Overview sums up a running service.
type Overview struct {
	Time     time.Time  `json:"time"`
	TimeZone string     `json:"time_zone"` // in which the service's people read times
	OKSince  *time.Time `json:"ok_since"`  // since when nothing fails; null while something does
	Failing  []Failure  `json:"failing"`
	Open     []Counted  `json:"open"` // the most severe first

	// The selected exposures, in the order of the request, and how many they are.
	Selected  int        `json:"selected"`
	Exposures []Exposure `json:"exposures"`

	// Replicas and shards whose open exposures are missing, each with the reason.
	Unanswered []string `json:"unanswered,omitempty"`

	Sinks       []SinkStatus   `json:"sinks"`
	Sources     []SourceStatus `json:"sources"`
	Quarantined int            `json:"quarantined"`
	Shards      []Shard        `json:"shards"` // of all replicas; none: the journal is a file

	// Of the last minute, the latency of the last minute with deliveries within four
	// hours; null if it is not known.
	RecordsPerSecond *float64 `json:"records_per_second"`
	DeliveryP99      *float64 `json:"delivery_p99_seconds"`
}

// A Failure is a part that fails, with since when and why.
type Failure struct {
	Part    string    `json:"part"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem"`
}

// A Counted counts the open exposures of one severity.
type Counted struct {
	Severity exposure.Severity `json:"severity"`
	Open     int               `json:"open"` // suspect ones included
	Suspect  int               `json:"suspect"`
}

// Overview returns the overview of a view.
func (b board) Overview(v view) (Overview, error) {
	open, all := b.selectOpen(&v)
	group := b.group.view()
	o := Overview{Time: time.Now().UTC(), TimeZone: b.Config().TimeZone, Failing: b.health.look(b.Ready),
		Open: all, Selected: len(open), Exposures: []Exposure{}, Unanswered: group.unanswered, Shards: append([]Shard{}, group.shards.Shards...)}
	o.OKSince = utc(b.health.okSince())
	for _, x := range open[v.from(len(open)):v.to(len(open))] {
		o.Exposures = append(o.Exposures, b.admin.openExposure(x))
	}
	st, err := b.Stats()
	if err != nil {
		return o, err
	}
	o.Quarantined, o.Sinks, o.Sources = st.Quarantined, b.sinks(st), b.sources()
	steps := b.history.Steps()
	for i := len(steps) - 1; i >= 0; i-- {
		if p99 := steps[i].P99; o.DeliveryP99 == nil && p99 == p99 {
			o.DeliveryP99 = &p99
		}
	}
	if len(steps) > 0 {
		o.RecordsPerSecond = &steps[len(steps)-1].Records
	}
	return o, nil
}

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// routes returns the operations on a running service.
func (b board) routes() []route {
	return []route{
		{"GET " + overviewPath, "q state severity sort page", answering(func(r *http.Request) (any, error) {
			v, err := viewOf(r.URL.Query())
			if err != nil {
				return nil, err
			}
			return b.Overview(v)
		})},
		{"GET " + sinksPath, "", answering(func(*http.Request) (any, error) {
			st, err := b.Stats()
			if err != nil {
				return nil, err
			}
			return SinkList{b.sinks(st)}, nil
		})},
		{"GET " + sourcesPath, "", answering(func(*http.Request) (any, error) { return SourceList{b.sources()}, nil })},
	}
}

// problems returns the problems of the parts of a kind, by name: of a sink that of
// the first shard in which it fails.
func (b board) problems(kind string) map[string]string {
	all := map[string]string{}
	for name, err := range b.Ready {
		if name, ok := strings.CutPrefix(name, kind+" "); ok {
			name, _, _ = strings.Cut(name, " of shard ")
			if all[name] == "" {
				all[name] = problem(err)
			}
		}
	}
	return all
}
