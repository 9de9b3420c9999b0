package s3

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var errTooLong = fmt.Errorf("it takes longer than %s", maxWork)

// held holds the received messages, whose visibility has to be prolonged.
type held struct {
	mu       sync.Mutex
	messages map[*message]struct{}
}

// setStop sets the function that stops the work on m; nil when the work has ended.
func (h *held) setStop(m *message, stop context.CancelCauseFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.stop = stop
}

// extendLoop prolongs the visibility of held messages until ended is closed.
func (r *run) extendLoop(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(r.config.VisibilityTimeout / 16)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for batch := range slices.Chunk(r.due(time.Now()), perReceive) {
				r.extend(ctx, batch)
			}
		case <-ended:
			return
		}
	}
}

// due returns the messages whose visibility timeout is half over, and stops work
// that takes too long.
func (r *run) due(now time.Time) (due []*message) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for m := range r.held.messages {
		switch half := r.config.VisibilityTimeout / 2; {
		case m.lost || m.until.Sub(now) > half:
		case now.Add(r.config.VisibilityTimeout).Sub(m.received) > r.longest:
			if m.until.Sub(now) < r.config.VisibilityTimeout/8 && m.stop != nil {
				m.stop(errTooLong)
			}
		default:
			due = append(due, m)
		}
	}
	return due
}

// extend prolongs the visibility of up to ten messages. Failures are retried at
// the next tick.
func (r *run) extend(ctx context.Context, messages []*message) {
	now := time.Now()
	within, cancel := context.WithTimeout(ctx, r.config.VisibilityTimeout/4)
	defer cancel()
	failed, err := r.changeVisibility(within, messages, r.config.VisibilityTimeout)
	if err != nil {
		r.warn.Do(func() {
			r.log.Warn("the visibility of messages could not be prolonged; they may be read twice", "err", err)
		})
		return
	}
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for i, m := range messages {
		if f, ok := failed[strconv.Itoa(i)]; !ok {
			m.until = now.Add(r.config.VisibilityTimeout)
			r.metrics.extended.Inc()
		} else if f.SenderFault {
			m.lost = true // deleted, or another consumer has it
		}
	}
}

// changeVisibility sets when messages are visible again, and returns the failed
// entries by their index.
func (r *run) changeVisibility(ctx context.Context, messages []*message, wait time.Duration) (map[string]types.BatchResultErrorEntry, error) {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt, VisibilityTimeout: seconds(wait)}
	}
	out, err := r.queue.change(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &r.config.QueueURL, Entries: entries})
	if err != nil {
		return nil, r.failed(actionVisibility, err)
	}
	return r.refused(actionVisibility, out.Failed), nil
}

// requeueNow puts back messages on which no work was done.
func (r *run) requeueNow(ctx context.Context, messages []*message) {
	if len(messages) == 0 {
		return
	}
	r.requeue(ctx, messages, time.Second)
}

// requeue makes messages visible again after a wait. If that fails, they come
// again when their visibility timeout ends.
func (r *run) requeue(ctx context.Context, messages []*message, wait time.Duration) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	failed, err := r.changeVisibility(within, messages, wait)
	if err != nil {
		r.warn.Do(func() {
			r.log.Warn("messages could not be put back; they come again when their visibility ends", "err", err)
		})
	} else {
		r.metrics.returned.Add(float64(len(messages) - len(failed)))
	}
	r.release(messages...)
}

// backoff returns the wait of a failed message: longer with each receive, with
// jitter.
func (s *Source) backoff(receives int) time.Duration {
	wait := s.config.Retry.Max
	if n := max(receives, 1) - 1; n < 16 {
		wait = min(wait, s.config.Retry.Min<<n)
	}
	return max(s.config.Retry.Min, wait-rand.N(wait/4+1))
}
