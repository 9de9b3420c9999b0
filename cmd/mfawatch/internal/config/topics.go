package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	kafkasink "github.com/mfawatch/mfawatch/sinks/kafka"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
)

// topicMistakes returns each source and sink that would read, write or join what
// belongs to the shared journal: its shards stop at records of others.
func (c *Config) topicMistakes() (wrong []Mistake) {
	if c.Journal.Type != JournalKafka {
		return nil
	}
	shared := c.Journal.Shared
	here := func(brokers []string) bool {
		return slices.ContainsFunc(brokers, func(b string) bool { return slices.Contains(shared.Brokers, b) })
	}
	add := func(field, problem, name string) {
		wrong = append(wrong, Mistake{field, fmt.Sprintf("%s is %s of the shared journal; want another", Bounded(name), problem)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		e, ok := c.Sources[name].(*sourceEntry[reached[kafka.Config, kafkasource.Config]])
		if !ok || !here(e.Config.Reach.Brokers) {
			continue
		}
		for _, topic := range e.Config.Config.Topics {
			if slices.Contains(shared.Topics(), topic) {
				add("sources."+name+".topics", "a topic", topic)
			}
		}
		if group := e.Config.Config.Group; group == shared.Group() {
			add("sources."+name+".group", "the group", group)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		e, ok := c.Sinks[name].(*sinkEntry[reached[kafka.Config, kafkasink.Config]])
		if ok && here(e.Config.Reach.Brokers) && slices.Contains(shared.Topics(), e.Config.Config.Topic) {
			add("sinks."+name+".topic", "a topic", e.Config.Config.Topic)
		}
	}
	return wrong
}
