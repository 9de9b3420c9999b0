package service

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A recorder is a sink whose alerts go in the transaction that acks them.
type recorder interface {
	Record(a *processor.Alert) (*kgo.Record, error)
}

// store returns the journal as the worker uses it.
func (s *servedSink) store() dispatch.Store {
	if r, ok := s.sink.(recorder); ok && s.shard.lease != nil {
		return transactional{s.shard.cached, r}
	}
	return s.shard.cached
}

// A transactional journal sends alerts as it acks them.
type transactional struct {
	*cachedJournal
	sink recorder
}

// Done adds the records of delivered alerts to their acks. An alert that the topic
// refuses becomes a dead letter.
func (t transactional) Done(sink string, results ...outbox.Result) error {
	for i, r := range results {
		if r.Outcome != outbox.Delivered {
			continue
		}
		a, _, err := t.Load(sink, r.Number)
		if err != nil {
			return err
		}
		if results[i].Message, err = t.sink.Record(a); err != nil {
			return err
		}
	}
	err := t.cachedJournal.Done(sink, results...)
	switch {
	case !errors.Is(err, store.ErrRejected):
		return err
	case len(results) > 1: // one by one, to find out which it is
		for _, r := range results {
			if err := t.Done(sink, r); err != nil {
				return err
			}
		}
		return nil
	case results[0].Message == nil:
		return err
	}
	now := time.Now().UTC()
	return t.Bury(sink, outbox.DeadLetter{Number: results[0].Number, Cause: err.Error(), Attempts: 1, First: now, Last: now})
}
