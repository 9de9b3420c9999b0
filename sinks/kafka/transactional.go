package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// Transactional is the sink of a topic whose alerts are produced in the transaction
// that records their delivery: readers of committed records get each once. Its
// caller produces what Record returns; Send produces nothing.
type Transactional struct{ topic string }

var _ sinks.Sink = (*Transactional)(nil)

// NewTransactional returns the sink of a topic.
func NewTransactional(c Config) (*Transactional, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Transactional{c.Topic}, nil
}

// Send does nothing: the alert is produced when its delivery is recorded.
func (k *Transactional) Send(_ context.Context, _ *processor.Alert, ref string) (newRef string, err error) {
	return ref, nil
}

// Record returns the record of an alert.
func (k *Transactional) Record(a *processor.Alert) (*kgo.Record, error) {
	r, err := record(a)
	if r != nil {
		r.Topic = k.topic
	}
	return r, err
}
