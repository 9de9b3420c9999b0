package shard

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
)

// A Config configures the shared journal.
type Config struct {
	kafka.Config `koanf:",squash"`
	Topic        string `koanf:"topic"`       // prefix of the topics, of the group and of transactional ids
	Partitions   int    `koanf:"partitions"`  // of the topics when they are made; never changes
	Replication  int    `koanf:"replication"` // of the topics when they are made
	Instance     string `koanf:"instance"`    // name of this replica; default: the host's name
	Advertise    string `koanf:"advertise"`   // HOST:PORT at which other replicas reach http.address; default: found out
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Topic: "mfawatch", Partitions: 24, Replication: 3} }

// Bounds of the configuration.
const (
	maxPartitions  = 1000
	maxReplication = 7
	maxInstance    = 200 // bytes
)

var validTopic = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,199}$`) })

// Validate returns every mistake in c: joined errors, each "field: problem".
func (c Config) Validate() error {
	errs := []error{c.Config.Validate()}
	if !validTopic().MatchString(c.Topic) {
		errs = append(errs, fmt.Errorf("topic: want a prefix of topics of letters, digits, '.', '_' and '-', 200 at most, got %q", c.Topic))
	}
	if c.Partitions < 1 || c.Partitions > maxPartitions {
		errs = append(errs, fmt.Errorf("partitions: want a number from 1 to %d, got %d", maxPartitions, c.Partitions))
	}
	if c.Replication < 1 || c.Replication > maxReplication {
		errs = append(errs, fmt.Errorf("replication: want a number from 1 to %d, got %d", maxReplication, c.Replication))
	}
	if len(c.Instance) > maxInstance || strings.ContainsFunc(c.Instance, unprintable) {
		errs = append(errs, fmt.Errorf("instance: want a name of %d bytes at most, in printable ASCII without spaces", maxInstance))
	}
	if host, port, err := net.SplitHostPort(c.Advertise); c.Advertise != "" && (err != nil || host == "" || port == "" || len(c.Advertise) > maxAddress) {
		errs = append(errs, fmt.Errorf("advertise: want HOST:PORT at which other replicas reach http.address, got %q", c.Advertise))
	}
	return errors.Join(errs...)
}

// Group returns the name of the replicas' group. It is not that of the topics alone,
// which a Kafka source of the same cluster may have by default.
func (c Config) Group() string { return c.Topic + "-shards" }

// Topics returns the names of the topics.
func (c Config) Topics() []string { return []string{c.events(), c.journal()} }

func (c Config) events() string  { return c.Topic + "-events" }
func (c Config) journal() string { return c.Topic + "-journal" }

// txnID returns the transactional id of a partition's owner.
func (c Config) txnID(partition int32) string { return fmt.Sprintf("%s-%d", c.Topic, partition) }

// partition returns the partition of a lane, or of an origin. It never changes.
func (c Config) partition(key string) int32 { return partitionOf(key, int32(c.Partitions)) }

// Name returns the name of this replica.
func (c Config) Name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return cmp.Or(c.Instance, host)
}
