package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Bounds of what pages show of other replicas.
const (
	viewAge    = 5 * time.Second
	viewTime   = 2 * time.Second
	viewShards = 100
	viewPages  = 10 // of maxLimit open exposures, of each replica
)

// A groupView holds the knowledge of a group that pages show.
type groupView struct {
	made       time.Time
	shards     ShardList
	open       []exposure.Open // of other replicas
	latest     []ListedAlert
	unanswered []string // why open exposures are missing
}

// A groupViews keeps the last view for all pages that are open. One of their readers
// waits for the next.
type groupViews struct {
	making sync.Mutex
	last   atomic.Pointer[groupView]
}

// view returns a view that was made five seconds ago at most, or the one before while
// another reader waits for it.
func (g *group) view() *groupView {
	if g.name() == "" {
		return &groupView{}
	}
	recent := func() *groupView {
		if v := g.views.last.Load(); v != nil && time.Since(v.made) < viewAge {
			return v
		}
		return nil
	}
	if v := recent(); v != nil {
		return v
	}
	if !g.views.making.TryLock() {
		if v := g.views.last.Load(); v != nil {
			return v
		}
		g.views.making.Lock()
	}
	defer g.views.making.Unlock()
	v := recent()
	if v == nil {
		v = g.makeView()
		g.views.last.Store(v)
	}
	return v
}

// makeView asks the other replicas.
func (g *group) makeView() *groupView {
	v := &groupView{}
	ctx, cancel := context.WithTimeout(context.Background(), viewTime)
	defer cancel()
	exposures := g.ask(nil)
	var asked sync.WaitGroup
	asked.Go(func() { v.shards = g.ask(nil).ListShards(ctx) })
	asked.Go(func() {
		page, _ := g.ask(nil).ListAlerts(ctx, "", pageAlerts)
		v.latest = page.Alerts
	})
	asked.Go(func() {
		for _, a := range askOthers(ctx, exposures, viewTime, func(c *Client) (someOpen, error) { return c.openExposures(ctx) }) {
			v.open = append(v.open, a.value.open...)
			if err := cmp.Or(a.err, a.value.cut); err != nil {
				exposures.miss(a.Instance, err)
			}
		}
	})
	asked.Wait()
	v.made, v.unanswered = time.Now(), exposures.unanswered
	return v
}

// A someOpen holds open exposures of a replica.
type someOpen struct {
	open []exposure.Open // those that opened last, if not all
	cut  error           // why they are not all
}

// openExposures returns the open exposures of another replica.
func (c *Client) openExposures(ctx context.Context) (some someOpen, err error) {
	f := ExposureFilter{States: []string{StateOpen}, Limit: maxLimit}
	for i := range viewPages {
		page, err := c.ListExposures(ctx, f)
		switch {
		case err != nil && i == 0:
			return some, err
		case err != nil:
			some.cut = err
			return some, nil
		}
		for _, x := range page.Exposures[:min(len(page.Exposures), maxLimit)] {
			some.open = append(some.open, exposure.Open{ID: x.ID, Severity: x.Severity, Partition: x.Partition, Account: x.Account, User: x.User, Root: x.Root,
				OpenedAt: x.OpenedAt, Suspect: x.State == StateSuspect, Campaign: x.Campaign})
		}
		if f.After = page.Next; f.After == "" {
			return some, nil
		}
	}
	some.cut = fmt.Errorf("it has more than %d open exposures; its own page lists them", viewPages*maxLimit)
	return some, nil
}

// openExposures returns the open exposures of all replicas, as far as they are known.
func (b board) openExposures() []exposure.Open {
	all := slices.Collect(b.admin.openExposures)
	others := b.group.view().open
	if len(others) == 0 {
		return all
	}
	own := map[string]bool{}
	for _, x := range all {
		own[x.ID] = true
	}
	for _, x := range others {
		if !own[x.ID] { // else its shard has moved here
			all = append(all, x)
		}
	}
	return all
}
