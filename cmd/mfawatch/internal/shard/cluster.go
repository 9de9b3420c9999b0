package shard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/status"
)

// Times of the group. A replica that is silent for sessionTimeout loses its
// partitions.
const (
	sessionTimeout    = 6 * time.Second
	heartbeatInterval = 500 * time.Millisecond
	rebalanceTimeout  = time.Minute
	lookEvery         = 5 * time.Second
	leaveTimeout      = 5 * time.Second // a member that does not leave is expelled after sessionTimeout
	concurrentOpens   = 4
	intakeLinger      = 5 * time.Millisecond // deliveries handled concurrently share a request
)

// Serve works on a shard until ctx is done.
type Serve func(ctx context.Context, s *Shard) error

// Options of a Cluster.
type Options struct {
	Path       string          // folder of the caches
	Journals   journal.Options // of every shard
	Drain      time.Duration   // how long Serve may take to return
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Changed    func() // called when Shards changes; nil: not
}

// A Cluster is this replica's part of the shared journal.
type Cluster struct {
	config    Config
	o         Options
	opts      []kgo.Opt
	http      string // address of the HTTP server; "": there is none
	metrics   *metrics
	producer  *kgo.Client                // of the intake
	begun     chan struct{}              // closed when the topics are there
	group     atomic.Pointer[kgo.Client] // while Run is a member
	restoring chan struct{}              // holds one for each journal that is being opened
	reached   status.Status
	described described

	joined  atomic.Bool
	mu      sync.Mutex
	members map[int32]*membership
}

// New returns this replica's part. It sends nothing over the network. The caller
// closes it. All clients of the cluster have the options more.
func New(c Config, o Options, more ...kgo.Opt) (*Cluster, error) {
	opts, err := c.Config.Options()
	if err != nil {
		return nil, err
	}
	opts = append(append(opts, kgo.DisableClientMetrics()), more...)
	if o.Changed == nil {
		o.Changed = func() {}
	}
	cl := &Cluster{
		config: c, o: o, opts: opts, metrics: newMetrics(o.Registerer), restoring: make(chan struct{}, concurrentOpens), begun: make(chan struct{}), members: map[int32]*membership{},
	}
	cl.producer, err = cl.client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RecordDeliveryTimeout(20*time.Second),
		kgo.ProducerLinger(intakeLinger),
		kgo.ProducerBatchMaxBytes(maxBatchBytes),
	)
	if err != nil {
		return nil, err
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(collector{cl})
	}
	return cl, nil
}

// client returns a client of the cluster with options of its own.
func (c *Cluster) client(own ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(slices.Concat(c.opts, own)...)
}

// Close closes the intake.
func (c *Cluster) Close() { c.producer.Close() }

// cache returns the path of the journal file of a partition.
func (c *Cluster) cache(p int32) string { return filepath.Join(c.o.Path, strconv.Itoa(int(p))+".db") }

// Partitions returns the number of partitions.
func (c *Cluster) Partitions() int { return c.config.Partitions }

// Check reports what an operator has to mend before a replica can run. It changes
// nothing.
func Check(ctx context.Context, c Config) error {
	cl, err := quiet(c, "")
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err = cl.prepare(ctx, false); errors.Is(err, errMissing) {
		return nil // they are made when a replica runs
	}
	return err
}

// Run joins the group, and runs serve for each shard that is assigned to this
// replica, until ctx is done. It fails if an operator has to mend something.
func (c *Cluster) Run(ctx context.Context, serve Serve) error {
	if err := c.begin(ctx); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	reaching, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	group, err := c.client(
		kgo.WithContext(reaching),
		kgo.ClientID(c.config.Name()),
		kgo.ConsumerGroup(c.config.Group()),
		kgo.ConsumeTopics(c.config.events()),
		kgo.Balancers(announcer{kgo.CooperativeStickyBalancer(), c.reachable(ctx)}),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(max(rebalanceTimeout, c.o.Drain+rebalanceTimeout/2)),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			c.assign(working, added[c.config.events()], serve)
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			c.release(gone[c.config.events()], "revoked")
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			c.release(gone[c.config.events()], "lost")
		}),
	)
	if err != nil {
		return err
	}
	group.PauseFetchTopics(c.config.events()) // each shard reads for itself
	c.group.Store(group)
	c.poll(ctx, group)
	c.release(c.assigned(), "stopping")
	stop() // shards that are assigned from now on end immediately
	leaving, cancel := context.WithTimeout(reaching, leaveTimeout)
	defer cancel()
	if err := group.LeaveGroupContext(leaving); err != nil {
		c.o.Logger.Warn("could not leave the group; its shards stay idle until the session times out", "group", c.config.Group(), "err", err)
		abandon() // a rebalance under way would hold up Close until all members have joined
	}
	group.CloseAllowingRebalance()
	c.release(c.assigned(), "left")
	return nil
}

// begin makes the topics, and retries until the cluster answers.
func (c *Cluster) begin(ctx context.Context) (err error) {
	retry(ctx, func() (done bool) {
		within, cancel := context.WithTimeout(ctx, restoreStuck)
		defer cancel()
		if _, err = c.prepare(within, true); err == nil {
			err = c.nameInUse(within)
		}
		if done = err == nil || errors.Is(err, ErrRefused); !done {
			err = fmt.Errorf("shared journal: %w", err)
		}
		if c.reached.Set(err) && !done && ctx.Err() == nil {
			c.o.Logger.Warn("cannot reach the shared journal; retrying", "err", err)
		}
		return done
	})
	if err == nil {
		close(c.begun)
	}
	return err
}

// nameInUse refuses the name of another replica. A former life of this one leaves
// the group when its session times out.
func (c *Cluster) nameInUse(ctx context.Context) error {
	for deadline := time.Now().Add(sessionTimeout + 2*time.Second); ; {
		err := c.named(ctx, 0)
		if !errors.Is(err, ErrRefused) || time.Now().After(deadline) {
			return err
		}
		pause(ctx, minPause)
	}
}

// named refuses more than so many members with the name of this replica.
func (c *Cluster) named(ctx context.Context, most int) error {
	members, err := c.groupMembers(ctx)
	for _, m := range members {
		if m.ClientID == c.config.Name() {
			most--
		}
	}
	if most < 0 {
		return fmt.Errorf("%w: another replica is called %q: give each its own journal.instance", ErrRefused, c.config.Name())
	}
	return err
}

// poll reports errors of the group, and commits offsets to it for tools to show.
func (c *Cluster) poll(ctx context.Context, group *kgo.Client) {
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() {
		for ctx.Err() == nil {
			for _, e := range group.PollFetches(ctx).Errors() {
				if ctx.Err() == nil {
					c.reach(fmt.Errorf("group %s: %w", c.config.Group(), explain(e.Err)))
				}
			}
		}
	})
	for pause(ctx, lookEvery); ctx.Err() == nil; pause(ctx, lookEvery) {
		if err := c.look(ctx); ctx.Err() == nil {
			c.reach(err)
		}
		offsets := map[int32]kgo.EpochOffset{}
		for _, m := range c.memberships() {
			if next := m.next.Load(); next != m.committed {
				m.committed, offsets[m.partition] = next, kgo.EpochOffset{Epoch: -1, Offset: next}
			}
		}
		if len(offsets) > 0 {
			group.CommitOffsets(ctx, map[string]map[int32]kgo.EpochOffset{c.config.events(): offsets}, nil)
		}
	}
}

// errMadeAgain ends the use of a topic, which clients do not follow to the next one.
var errMadeAgain = errors.New("the topics were deleted and made again")

// look reports what only the cluster knows: whether this replica is a member, and the
// only one of its name, as two that start at one time cannot know. Shards whose topics
// are others now are restored again.
func (c *Cluster) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	if err := errors.Join(c.member(ctx), c.named(ctx, 1)); err != nil {
		return err
	}
	found, err := c.config.describe(ctx, kadm.NewClient(c.producer))
	if err != nil {
		return err
	}
	if len(found) < 2 {
		return errMissing
	}
	for _, s := range c.Shards() {
		if s.log.ids != c.config.ids(found) {
			s.log.end(errMadeAgain)
		}
	}
	return nil
}

// reach records whether this replica is in touch with its group.
func (c *Cluster) reach(err error) {
	switch changed := c.reached.Set(err); {
	case !changed:
	case err == nil:
		c.o.Logger.Info("the group of the shared journal is reached again")
	default:
		c.o.Logger.Warn("the group of the shared journal has an error; retrying", "err", err)
	}
}

// assign starts to serve partitions.
func (c *Cluster) assign(ctx context.Context, partitions []int32, serve Serve) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined.Store(true)
	c.reached.Set(nil)
	for _, p := range partitions {
		m := &membership{c: c, partition: p, done: make(chan struct{}), full: status.Status{Lasts: fullTime}}
		var running context.Context
		running, m.cancel = context.WithCancel(ctx)
		c.members[p] = m
		go func() {
			defer close(m.done)
			m.run(running, serve)
		}()
	}
	if len(partitions) > 0 {
		c.o.Logger.Info("shards assigned", "partitions", partitions, "assigned", len(c.members))
	}
}

// release stops to serve partitions, and returns when no send of theirs is left.
func (c *Cluster) release(partitions []int32, why string) {
	var leaving []*membership
	c.mu.Lock()
	for _, p := range partitions {
		if m := c.members[p]; m != nil {
			leaving = append(leaving, m)
			delete(c.members, p)
			m.cancel()
		}
	}
	c.mu.Unlock()
	for _, m := range leaving {
		<-m.done
	}
	if len(leaving) > 0 {
		c.o.Logger.Info("shards released", "why", why, "partitions", partitions)
	}
}

func (c *Cluster) assigned() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.members))
}

func (c *Cluster) memberships() []*membership {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*membership
	for _, p := range slices.Sorted(maps.Keys(c.members)) {
		all = append(all, c.members[p])
	}
	return all
}

// Shards returns the shards that this replica serves, by partition.
func (c *Cluster) Shards() (all []*Shard) {
	for _, m := range c.memberships() {
		if s := m.shard.Load(); s != nil {
			all = append(all, s)
		}
	}
	return all
}

// Ready returns why this replica does not serve all shards that are assigned to
// it, nil if it does.
func (c *Cluster) Ready() error {
	if err := c.reached.Err(); err != nil {
		return err
	}
	if !c.joined.Load() {
		return fmt.Errorf("shared journal: not a member of group %s yet", c.config.Group())
	}
	var errs []error
	for _, st := range c.Statuses() {
		if st.State != Serving || st.Problem != "" {
			errs = append(errs, fmt.Errorf("shard %d: %s", st.Partition, cmp.Or(st.Problem, "being restored")))
		}
	}
	return errors.Join(errs...)
}
