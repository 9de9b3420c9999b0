package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
)

const shardsPath = "/api/v1/shards"

// The states of a shard that its owner does not report.
const (
	shardUnowned    = "unowned"
	shardUnanswered = "unanswered" // its owner does not answer
)

// A Shard is a shard with its owner.
type Shard struct {
	shard.Status
	Owner   string `json:"owner"`             // name of the replica; "" if there is none
	Address string `json:"address,omitempty"` // of the owner's HTTP server
}

// A ShardList lists the shards of a shared journal by partition. There is none if
// the journal is a file.
type ShardList struct {
	Instance string  `json:"instance,omitempty"` // that answers
	Shards   []Shard `json:"shards"`
}

// ownShards lists the shards that are assigned to this replica.
func (g *group) ownShards() ShardList {
	list := ShardList{Instance: g.name(), Shards: []Shard{}}
	for _, st := range g.service.ShardStatuses() {
		list.Shards = append(list.Shards, Shard{Status: st, Owner: list.Instance})
	}
	return list
}

// ListShards lists all shards.
func (q *query) ListShards(ctx context.Context) ShardList {
	list := ShardList{Instance: q.name(), Shards: []Shard{}}
	if list.Instance == "" {
		return list
	}
	within, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	replicas, _ := q.service.Replicas(within) // askOthers notes the error
	known := map[int32]Shard{}
	for _, r := range replicas {
		for _, p := range r.Partitions {
			known[p] = Shard{shard.Status{Partition: p, State: shardUnanswered, Offset: -1}, r.Instance, r.Address}
		}
	}
	add := func(all []Shard, owner shard.Replica) {
		for _, s := range all {
			if was, ok := known[s.Partition]; ok && was.Owner != owner.Instance && was.State != shardUnanswered {
				continue // it moves, and its owner has answered
			}
			s.Owner, s.Address = owner.Instance, owner.Address
			known[s.Partition] = s
		}
	}
	for _, a := range askOthers(ctx, q, readTime, func(c *Client) (ShardList, error) { return c.ListShards(ctx) }) {
		if a.err == nil {
			add(a.value.Shards, a.Replica)
		}
	}
	self := shard.Replica{Instance: list.Instance}
	if i := slices.IndexFunc(replicas, func(r shard.Replica) bool { return r.Instance == self.Instance }); i >= 0 {
		self = replicas[i]
	}
	add(q.ownShards().Shards, self)
	for p := range int32(q.service.Config().Journal.Shared.Partitions) {
		s, ok := known[p]
		if !ok {
			s = Shard{Status: shard.Status{Partition: p, State: shardUnowned, Offset: -1}}
		}
		list.Shards = append(list.Shards, s)
	}
	return list
}

func (q *query) shardsRoute() route {
	return route{"GET " + shardsPath, "", answering(func(r *http.Request) (any, error) { return q.ListShards(r.Context()), nil })}
}

// ListShards lists all shards of the service.
func (c *Client) ListShards(ctx context.Context) (list ShardList, err error) {
	return list, c.call(ctx, http.MethodGet, shardsPath, nil, nil, &list)
}
