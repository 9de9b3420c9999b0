package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// The headers between replicas, and to their clients.
const (
	replicaHeader    = "Mfawatch-Replica"    // of a request to the replica of this name, about its own shards
	unansweredHeader = "Mfawatch-Unanswered" // once for each replica or shard that is missing in an answer
)

// Bounds of an answer that several replicas make.
const (
	describeTime = 2 * time.Second
	readTime     = 5 * time.Second
	changeTime   = 20 * time.Second // less than the time a server has to answer
)

// A group serves the API of all replicas that share a journal. This one answers for
// its own shards, and asks the others about theirs.
type group struct {
	service Service
	admin   *Admin
	own     http.Handler // the API of this replica alone
	views   groupViews
}

// name returns the name of this replica, "" if the journal is a file.
func (g *group) name() string {
	if g.service.Config().Journal.Type != "kafka" {
		return ""
	}
	return g.service.Config().Journal.Shared.Name()
}

// ServeHTTP answers a client for the group, and another replica for this one.
func (g *group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, asked := g.name(), r.Header.Get(replicaHeader)
	switch q := g.ask(w.Header()); {
	case asked != "" && asked != name:
		plain(w, http.StatusMisdirectedRequest, "this is another replica: "+name+"\n")
	case asked != "":
		q.addOwn()
		handlerOf(append([]route{{"GET " + shardsPath, "", answering(func(*http.Request) (any, error) { return g.ownShards(), nil })}}, g.admin.routes()...)).ServeHTTP(w, r)
	default:
		routes := []route{q.shardsRoute()}
		if name != "" {
			routes = append(routes, routesOf(q)...)
		}
		mux := handlerOf(routes)
		mux.Handle("/", g.own)
		mux.ServeHTTP(w, r)
	}
}

// ask returns a query of all replicas. Each replica and each shard without an answer
// is named in header, unless that is nil.
func (g *group) ask(header http.Header) *query { return &query{group: g, header: header} }

// A query asks all replicas, once.
type query struct {
	*group
	header     http.Header
	unanswered []string
}

// miss notes that an answer is missing.
func (q *query) miss(who string, err error) {
	text := safetext.Clean(line(who+": "+err.Error()), maxProblem)
	q.unanswered = append(q.unanswered, text)
	if q.header != nil {
		q.header.Add(unansweredHeader, text)
	}
}

// addOwn notes the shards of this replica that it does not serve yet.
func (q *query) addOwn() {
	for _, st := range q.service.ShardStatuses() {
		if st.State != shard.Serving {
			q.miss(fmt.Sprintf("shard %d", st.Partition), errors.New(cmp.Or(st.Problem, "it is being restored")))
		}
	}
}

// others returns the other replicas, and notes the shards that no replica serves.
func (q *query) others(ctx context.Context) (others []shard.Replica) {
	name := q.name()
	if name == "" {
		return nil
	}
	q.addOwn()
	within, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	all, err := q.service.Replicas(within)
	if err != nil {
		q.miss("other replicas", fmt.Errorf("the group cannot be read: %w", err))
		return nil
	}
	owned := map[int32]bool{}
	for _, r := range all {
		for _, p := range r.Partitions {
			owned[p] = true
		}
		if r.Instance != name && len(r.Partitions) > 0 {
			others = append(others, r)
		}
	}
	for p := range int32(q.service.Config().Journal.Shared.Partitions) {
		if !owned[p] {
			q.miss(fmt.Sprintf("shard %d", p), errors.New("no replica owns it"))
		}
	}
	return others
}

// An answered is the answer of one replica; a refusal is one, too.
type answered[T any] struct {
	shard.Replica
	value T
	err   error
}

// askOthers asks the other replicas concurrently, and returns the answers in the
// order of their names.
func askOthers[T any](ctx context.Context, q *query, limit time.Duration, f func(*Client) (T, error)) (all []answered[T]) {
	others := q.others(ctx)
	answers := make([]answered[T], len(others))
	clients := make([]*Client, len(others))
	var asked sync.WaitGroup
	for i, r := range others {
		answers[i].Replica = r
		asked.Go(func() {
			c, err := q.client(r, limit)
			if err == nil {
				clients[i] = c
				answers[i].value, err = f(c)
			}
			answers[i].err = err
		})
	}
	asked.Wait()
	for i, a := range answers {
		if a.err != nil && !isAnswer(a.err) {
			q.miss(a.Instance, a.err)
			continue
		}
		for _, missing := range clients[i].Unanswered() {
			q.miss(a.Instance, errors.New(missing))
		}
		all = append(all, a)
	}
	return all
}

// isAnswer reports whether an error came from a replica as its answer.
func isAnswer(err error) bool {
	var wrong refused
	return isMissing(err) || errors.As(err, &wrong) && (wrong.status == http.StatusBadRequest || wrong.status == http.StatusConflict)
}

// isMissing reports whether an error says that an ID or a sink is not known.
func isMissing(err error) bool {
	var missing NotFound
	var wrong refused
	return errors.As(err, &missing) || errors.As(err, &wrong) && wrong.status == http.StatusNotFound
}

// found returns the one answer that is not that nothing was found: of this replica,
// or of another.
func found[T any](q *query, own answered[T], others func() []answered[T]) (T, error) {
	if !isMissing(own.err) {
		return own.value, own.err
	}
	for _, a := range others() {
		if !isMissing(a.err) {
			return a.value, a.err
		}
	}
	if len(q.unanswered) > 0 {
		return own.value, refused{http.StatusBadGateway, fmt.Sprintf("%s; not every replica answered: %s", own.err, q.unanswered[0])}
	}
	return own.value, own.err
}

// ListExposures returns a page of the exposures of all replicas.
func (q *query) ListExposures(ctx context.Context, f ExposureFilter) (ExposurePage, error) {
	page, err := q.admin.ListExposures(ctx, f)
	if err != nil {
		return page, err
	}
	more := page.Next != ""
	for _, a := range askOthers(ctx, q, readTime, func(c *Client) (ExposurePage, error) { return c.ListExposures(ctx, f) }) {
		if a.err != nil {
			return page, a.err
		}
		more = more || a.value.Next != ""
		page.Exposures = append(page.Exposures, a.value.Exposures...)
	}
	slices.SortFunc(page.Exposures, Exposure.compare)
	// While a shard moves, its former and its next owner may both answer.
	page.Exposures = slices.CompactFunc(page.Exposures, func(a, b Exposure) bool { return a.ID == b.ID })
	limit := cmp.Or(f.Limit, defaultLimit)
	page.Next = ""
	if len(page.Exposures) > limit || more && len(page.Exposures) == limit {
		page.Exposures = page.Exposures[:limit]
		page.Next = page.Exposures[limit-1].place()
	}
	return page, nil
}

// ShowExposure returns an exposure of any replica.
func (q *query) ShowExposure(ctx context.Context, id string) (ExposureStory, error) {
	own := answered[ExposureStory]{}
	own.value, own.err = q.admin.ShowExposure(ctx, id)
	return found(q, own, func() []answered[ExposureStory] {
		return askOthers(ctx, q, readTime, func(c *Client) (ExposureStory, error) { return c.ShowExposure(ctx, id) })
	})
}

// CloseExposure closes an exposure of any replica.
func (q *query) CloseExposure(ctx context.Context, id string, closing Closing) error {
	own := answered[struct{}]{err: q.admin.CloseExposure(ctx, id, closing)}
	_, err := found(q, own, func() []answered[struct{}] {
		return askOthers(ctx, q, changeTime, func(c *Client) (struct{}, error) { return struct{}{}, c.CloseExposure(ctx, id, closing) })
	})
	return err
}

// ListAlerts returns a page of the alerts of all replicas.
func (q *query) ListAlerts(ctx context.Context, before string, limit int) (AlertPage, error) {
	page, err := q.admin.ListAlerts(ctx, before, limit)
	if err != nil {
		return page, err
	}
	all := page.Alerts
	for _, a := range askOthers(ctx, q, readTime, func(c *Client) (AlertPage, error) { return c.ListAlerts(ctx, before, limit) }) {
		if a.err != nil {
			return page, a.err
		}
		all = append(all, a.value.Alerts...)
	}
	lists := map[int][]ListedAlert{}
	for _, x := range all {
		if known := lists[x.shard()]; len(known) == 0 || known[len(known)-1].Number > x.Number { // else of a shard that moves
			lists[x.shard()] = append(known, x)
		}
	}
	cursor, err := parseListCursor(before)
	if err != nil {
		return page, err
	}
	var inOrder [][]ListedAlert
	for p := range int32(q.service.Config().Journal.Shared.Partitions) {
		inOrder = append(inOrder, lists[int(p)])
	}
	return mergeAlerts(cursor, inOrder, cmp.Or(limit, defaultLimit)), nil
}
