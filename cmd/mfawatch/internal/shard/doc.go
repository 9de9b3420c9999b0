/*
Package shard keeps the journal in a Kafka cluster, so that several replicas share
it. It uses the cluster as Kafka Streams does: records are partitioned again by
key, each partition has one owner with a local store, a compacted topic is the
store's change log, and transactions fence a former owner.

# Glossary

  - events topic: the watched events of all replicas, partitioned by lane
  - journal topic: compacted; partition p holds the change log of shard p
  - shard: journal, fold and dispatchers of one partition of the events topic
  - owner: the replica that a partition is assigned to, by the consumer group
  - owner record: the first record of an owner in the journal topic
  - intake: the part of a replica that produces events for all shards, its own or not
  - lease: how long ago the owner proved that it still is one

# The life of a shard

 1. The group assigns the partition. The owner initialises the transactional id of
    the partition, which aborts what a former owner left open, and fences it
    permanently.

 2. It commits an owner record, and restores the journal's file up to it. Nothing
    that was ever committed can follow that record except through the owner.

 3. It reads the events topic from the offset that the journal holds, folds and
    dispatches. Each commit of the journal is one transaction: its writes, with the
    offset among them, and the alerts of Kafka sinks of the same cluster.

 4. Where a commit's outcome is unknown, the client is discarded, and the shard
    starts over at 1: it is fenced, or restores what was committed.

 5. The group revokes the partition. Sends in flight finish, and the file stays, as
    a cache for the next time.

The group only assigns: offsets are committed to it as information for tools.
*/
package shard
