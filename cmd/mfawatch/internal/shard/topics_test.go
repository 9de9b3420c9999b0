package shard

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Topics are made as the design needs them, and made once.
func TestPrepare(t *testing.T) {
	_, c := fake(t)
	err := Check(t.Context(), c)
	if found, listed := admin(t, c).ListTopics(t.Context()); err != nil || listed != nil || len(found) > 0 {
		t.Errorf("check of an empty cluster: %v, %v", found, err)
	}
	first := prepared(t, c)
	if again := prepared(t, c); again != first {
		t.Errorf("prepared %v, then %v", first, again)
	}
	configs, err := admin(t, c).DescribeTopicConfigs(t.Context(), c.journal())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, kv := range configs[0].Configs {
		got[kv.Key] = kv.MaybeValue()
	}
	for key, want := range map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "604800000", "min.insync.replicas": "1", "message.timestamp.type": "LogAppendTime"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

// A broker that does not know the topics for a moment does not make a shard write
// positions of topics without an ID, which no later start accepts.
func TestTopicsAreUnknown(t *testing.T) {
	t.Parallel()
	f, c := fake(t)
	prepared(t, c)
	path := t.TempDir()
	open := func() error {
		cl := command(t, c, path)
		s, err := (&membership{c: cl, partition: 0}).open(t.Context())
		if err == nil {
			err = s.Journal.Close()
			s.log.close()
		}
		return err
	}
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: c.events(), Err: kerr.UnknownTopicOrPartition})
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: c.journal(), Err: kerr.UnknownTopicOrPartition})
	if err := open(); !errors.Is(err, errMissing) {
		t.Errorf("without topics: %v", err)
	}
	if err := open(); err != nil {
		t.Errorf("with topics: %v", err)
	}
}

// Retention is by the clocks of the brokers: events of a replica whose clock is slow
// stay until they are read, and those of a fast one are accepted.
func TestClockOfTheBrokers(t *testing.T) {
	c := realCluster(t)
	prepared(t, c)
	for _, skew := range []time.Duration{-keepDeleted - time.Hour, keepDeleted} {
		r := c.record(kindEvent, "x", []byte("{}"))
		r.Timestamp = time.Now().Add(skew)
		if err := client(t, c).ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Errorf("a clock that is %s off: %v", skew, err)
		}
		reader := client(t, c, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.events(): {r.Partition: kgo.NewOffset().At(r.Offset)}}))
		for _, got := range reader.PollFetches(t.Context()).Records() {
			if age := time.Since(got.Timestamp).Abs(); age > time.Hour {
				t.Errorf("a clock that is %s off: the age of the record is %s", skew, age)
			}
		}
	}
}

// Each mistake that an operator has to mend is refused with the fix.
func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	topic := func(t *testing.T, c Config, name string, partitions int32, policy string) {
		configs := map[string]*string{"cleanup.policy": &policy, "max.message.bytes": kadm.StringPtr("17825792")}
		if _, err := admin(t, c).CreateTopic(t.Context(), partitions, 1, configs, name); err != nil {
			t.Fatal(err)
		}
	}
	both := func(t *testing.T, c Config) {
		topic(t, c, c.events(), 4, "delete")
		topic(t, c, c.journal(), 4, "compact")
	}
	fault := func(key kmsg.Key, err *kerr.Error) func(*testing.T, *kfake.Cluster, Config) {
		return func(t *testing.T, f *kfake.Cluster, c Config) {
			both(t, c)
			f.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: -1})
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, f *kfake.Cluster, c Config)
		opts  []kfake.Opt
		want  string
	}{
		"partitions": {func(t *testing.T, _ *kfake.Cluster, c Config) {
			topic(t, c, c.events(), 4, "delete")
			topic(t, c, c.journal(), 5, "compact")
		}, nil, "mfawatch-journal has 5 partitions, and journal.partitions is 4: set it to 5"},
		"one topic": {func(t *testing.T, _ *kfake.Cluster, c Config) { topic(t, c, c.events(), 4, "delete") }, nil, "only one of the topics"},
		"not compacted": {func(t *testing.T, _ *kfake.Cluster, c Config) {
			topic(t, c, c.events(), 4, "delete")
			topic(t, c, c.journal(), 4, "delete")
		}, nil, "mfawatch-journal has cleanup.policy delete: set it to compact"},
		"small records": {func(t *testing.T, _ *kfake.Cluster, c Config) {
			both(t, c)
			small := kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr("1048588")}
			if _, err := admin(t, c).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{small}, c.journal()); err != nil {
				t.Fatal(err)
			}
		}, nil, "mfawatch-journal has max.message.bytes 1048588: set it to 17825792"},
		"topics": {fault(kmsg.Metadata, kerr.TopicAuthorizationFailed), nil, "allow the user to READ, WRITE, DESCRIBE, CREATE and DESCRIBE_CONFIGS the topics"},
		"creation": {func(_ *testing.T, f *kfake.Cluster, _ Config) {
			f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		}, nil, "make topic mfawatch-events"},
		"replication": {func(_ *testing.T, f *kfake.Cluster, _ Config) {
			f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.InvalidReplicationFactor, Count: -1})
		}, nil, "set journal.replication to the number of brokers"},
		"old broker": {func(*testing.T, *kfake.Cluster, Config) {}, []kfake.Opt{kfake.MaxVersions(kversion.V2_4_0())}, "is older than Kafka 2.5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, config := fake(t, c.opts...)
			c.spoil(t, f, config)
			_, err := command(t, config, "", kgo.MetadataMinAge(20*time.Millisecond)).prepare(t.Context(), true)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		key  kmsg.Key
		err  *kerr.Error
		want string
	}{
		"transactional id": {kmsg.InitProducerID, kerr.TransactionalIDAuthorizationFailed, "allow the user to WRITE and DESCRIBE the transactional ids"},
		"write":            {kmsg.Produce, kerr.TopicAuthorizationFailed, "the topics that begin with journal.topic"},
	} {
		t.Run(name, func(t *testing.T) {
			f, config := fake(t)
			top := prepared(t, config)
			f.Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: -1})
			_, err := command(t, config, "").openLog(t.Context(), top, 0)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := config([]string{"kafka-1:9092"})
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(c *Config){
		"brokers: missing":                     func(c *Config) { c.Brokers = nil },
		"topic: want a prefix":                 func(c *Config) { c.Topic = "a b" },
		"partitions: want a number from 1":     func(c *Config) { c.Partitions = 0 },
		"replication: want a number from 1":    func(c *Config) { c.Replication = 8 },
		"instance: want a name of 200 bytes":   func(c *Config) { c.Instance = strings.Repeat("x", 201) },
		"printable ASCII without spaces":       func(c *Config) { c.Instance = "a\nb" },
		"advertise: want HOST:PORT":            func(c *Config) { c.Advertise = "mfawatch-0" },
		"sasl.mechanism: unknown \"kerberos\"": func(c *Config) { c.SASL.Mechanism = "kerberos" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
