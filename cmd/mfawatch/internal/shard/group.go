package shard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/secret"
)

// A Replica is a member of the group.
type Replica struct {
	Instance   string
	Address    string  // HOST:PORT of its HTTP server; "": it has none that others reach
	Partitions []int32 // that are assigned to it
}

// groupMembers returns the members of the group, none if there is no group yet.
func (c *Cluster) groupMembers(ctx context.Context) ([]kadm.DescribedGroupMember, error) {
	groups, err := kadm.NewClient(c.producer).DescribeGroups(ctx, c.config.Group())
	if err == nil {
		err = groups[c.config.Group()].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, explain(err)
	}
	return groups[c.config.Group()].Members, nil
}

// Replicas returns the members of the group, sorted by name.
func (c *Cluster) Replicas(ctx context.Context) (all []Replica, err error) {
	members, err := c.groupMembers(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		r := Replica{Instance: safetext.Clean(m.ClientID, maxInstance)}
		if meta, ok := m.Join.AsConsumer(); ok {
			r.Address = announced(meta.UserData)
		}
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				if t.Topic == c.config.events() {
					r.Partitions = append(r.Partitions, t.Partitions...)
				}
			}
		}
		slices.Sort(r.Partitions)
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Replica) int { return cmp.Compare(a.Instance, b.Instance) })
	return c.described.remember(all), nil
}

// A described group is the last one, by the names of its members. While a group
// rebalances, brokers describe its members without metadata and assignments.
type described struct {
	mu   sync.Mutex
	last map[string]Replica
}

// remember adds what is known of the members to their descriptions.
func (d *described) remember(all []Replica) []Replica {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := map[string]Replica{}
	for i, r := range all {
		if r.Address == "" && len(r.Partitions) == 0 {
			r.Address, r.Partitions = d.last[r.Instance].Address, d.last[r.Instance].Partitions
		}
		all[i], known[r.Instance] = r, r
	}
	d.last = known
	return all
}

// An announcer adds the address of this replica to the metadata of its membership.
type announcer struct {
	kgo.GroupBalancer
	address string
}

// announcement separates the address from the balancer's own data, which ignores
// what follows it.
const announcement = "\nmfawatch "

// maxAddress bounds the address of a replica, in bytes.
const maxAddress = 255

// JoinGroupMetadata implements [kgo.GroupBalancer].
func (a announcer) JoinGroupMetadata(topics []string, assigned map[string][]int32, generation int32) []byte {
	b := a.GroupBalancer.JoinGroupMetadata(topics, assigned, generation)
	var meta kmsg.ConsumerMemberMetadata
	if meta.ReadFrom(b) != nil {
		return b
	}
	meta.UserData = append(meta.UserData, announcement+a.address...)
	return meta.AppendTo(nil)
}

// announced returns the address that a member announces, "" if it announces none.
func announced(userData []byte) string {
	i := bytes.LastIndex(userData, []byte(announcement))
	if i < 0 || len(userData)-i-len(announcement) > maxAddress {
		return ""
	}
	address := string(userData[i+len(announcement):])
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || strings.ContainsFunc(address, unprintable) {
		return ""
	}
	return address
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// Announce sets the address of this replica's HTTP server, before Run.
func (c *Cluster) Announce(address string) { c.http = address }

// reachable returns the address at which other replicas reach the HTTP server, ""
// if they do not. A server on all addresses is reached at the one that this machine
// uses towards the brokers, and a server on loopback if the brokers are there too.
func (c *Cluster) reachable(ctx context.Context) string {
	if c.config.Advertise != "" {
		return c.config.Advertise
	}
	host, port, err := net.SplitHostPort(c.http)
	if err != nil {
		return ""
	}
	ip := net.ParseIP(host)
	wildcard, loopback := host == "" || ip != nil && ip.IsUnspecified(), secret.Loopback(c.http)
	if !wildcard && !loopback {
		return c.http
	}
	for _, broker := range c.config.Brokers {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", broker) // which sends nothing
		if err != nil {
			continue
		}
		own := conn.LocalAddr().(*net.UDPAddr).IP
		_ = conn.Close()
		switch {
		case wildcard:
			return net.JoinHostPort(own.String(), port)
		case own.IsLoopback():
			return c.http
		}
	}
	return ""
}

// The states of a shard.
const (
	Serving   = "serving"
	Restoring = "restoring"
	Failing   = "failing" // it will be restored again
)

// A Status holds the knowledge that the owner of a shard has of it.
type Status struct {
	Partition    int32      `json:"partition"`
	State        string     `json:"state"`
	Problem      string     `json:"problem,omitempty"`
	Offset       int64      `json:"offset"`        // in the journal topic, up to which the shard is restored and has committed; -1: not known
	ChangeLogLag int64      `json:"changelog_lag"` // records of the journal topic that are left to restore
	Lag          int64      `json:"lag"`           // events that are not journalled yet
	Open         int        `json:"open_exposures"`
	LastCommit   *time.Time `json:"last_commit"` // null before the first
}

// Statuses returns the statuses of the shards that are assigned to this replica, by
// partition.
func (c *Cluster) Statuses() (all []Status) {
	for _, m := range c.memberships() {
		all = append(all, m.status())
	}
	return all
}

func (m *membership) status() Status {
	st := Status{Partition: m.partition, State: Restoring, Offset: -1, Lag: m.lag.Load()}
	err := errors.Join(m.failure.Err(), m.full.Err())
	s, l := m.shard.Load(), m.log.Load()
	if s != nil {
		l = s.log
	}
	if l != nil {
		st.Offset = l.next.Load()
		st.ChangeLogLag = max(0, l.own+1-max(0, st.Offset))
		at := l.last.Load().UTC()
		st.LastCommit = &at
	}
	switch {
	case s != nil:
		st.State, st.Open = Serving, len(s.Journal.Open())
		err = errors.Join(err, s.Journal.Ready())
	case m.failure.Err() != nil:
		st.State = Failing
	}
	if err != nil {
		st.Problem = err.Error()
	}
	return st
}

// member returns nil if this replica is a member of the group, in the generation of
// its assignment. A replica that was suspended is asked this before it becomes the
// owner of a partition again, and so fences the owner that the group has.
func (c *Cluster) member(ctx context.Context) error {
	group := c.group.Load()
	if group == nil { // nothing is assigned
		return nil
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group = c.config.Group()
	beat.MemberID, beat.Generation = group.GroupMetadata()
	resp, err := beat.RequestWith(ctx, group)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil || errors.Is(err, kerr.RebalanceInProgress) { // it keeps its partitions until they are revoked
		return nil
	}
	return fmt.Errorf("group %s: %w", c.config.Group(), explain(err))
}
