package sources

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// longPoll is how long SQS waits for a message, in seconds; it allows no more.
const longPoll = 20

// batchTries is how often a batch is tried until its messages are left to come
// again.
const batchTries = 5

// A message is one that SQS keeps for us.
type message struct {
	id       string
	receipt  string
	body     string
	receives int       // this one included
	sent     time.Time // zero: not known
	received time.Time

	// Guarded by held.mu.
	until time.Time               // others see it from then on
	lost  bool                    // SQS does not keep it for us any more
	stop  context.CancelCauseFunc // of the work on it; nil: nobody works on it
}

// held is the messages that SQS keeps for us, whose visibility has to be seen to.
type held struct {
	mu       sync.Mutex
	messages map[*message]struct{}
}

var (
	systemAttributes = []types.MessageSystemAttributeName{
		types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp,
	}
	errTooLong = errors.New("it takes longer than visibility_max")
)

// A queueError says what the queue refuses, and what helps.
type queueError struct {
	source, queue, action string
	err                   error
}

func (e *queueError) Unwrap() error { return e.err }

func (e *queueError) Error() string {
	help := ""
	switch awsFault(e.err) {
	case FaultMissing:
		help = "there is no such queue: correct queue_url or region: "
	case FaultDenied:
		help = "access denied: allow " + e.action + " on the queue in the role's policy: "
	case FaultKMS:
		help = "the queue's key may not be used: allow kms:Decrypt in the role's policy and in the key's: "
	case FaultCredentials:
		help = "no credentials that AWS knows: give the machine a role, or set AWS_PROFILE: "
	}
	return "s3 source " + e.source + ": queue " + e.queue + ": " + help + e.err.Error()
}

// failed counts a call that the queue did not answer well.
func (s *S3) failed(action string, err error) error {
	if !errors.Is(err, context.Canceled) {
		s.metrics.queueErrors.WithLabelValues(s.name, action, string(awsFault(err))).Inc()
	}
	return &queueError{s.name, s.config.QueueURL, "sqs:" + action, err}
}

// receive waits for messages.
func (r *s3Run) receive(ctx context.Context) ([]*message, error) {
	asked := time.Now()
	out, err := r.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &r.config.QueueURL,
		MaxNumberOfMessages:         perReceive,
		WaitTimeSeconds:             longPoll,
		VisibilityTimeout:           seconds(r.config.VisibilityTimeout),
		MessageSystemAttributeNames: systemAttributes,
	})
	if err != nil {
		return nil, r.failed(actionReceive, err)
	}
	if len(out.Messages) == 0 {
		return nil, nil
	}
	now := time.Now()
	// Kept for us from when it was received, which was after it was asked for.
	// How long after is not known, where it had to be waited for.
	if now.Sub(asked) > time.Second {
		asked = now.Add(-time.Second)
	}
	all := make([]message, len(out.Messages))
	messages := make([]*message, len(all))
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for i, got := range out.Messages {
		m := &all[i]
		*m = message{
			id: aws.ToString(got.MessageId), receipt: aws.ToString(got.ReceiptHandle), body: aws.ToString(got.Body),
			received: now, until: asked.Add(r.config.VisibilityTimeout),
		}
		m.receives, _ = strconv.Atoi(got.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
		if ms, err := strconv.ParseInt(got.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
			m.sent = time.UnixMilli(ms)
			if m.receives <= 1 {
				r.metrics.age.Observe(now.Sub(m.sent).Seconds())
			}
		}
		messages[i] = m
		r.held.messages[m] = struct{}{}
	}
	r.metrics.received.Add(float64(len(messages)))
	r.metrics.inFlight.Set(float64(len(r.held.messages)))
	return messages, nil
}

func seconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }

// release forgets messages: they are deleted, or SQS gives them to somebody.
func (r *s3Run) release(messages ...*message) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for _, m := range messages {
		delete(r.held.messages, m)
	}
	r.metrics.inFlight.Set(float64(len(r.held.messages)))
}

// begin says who works on m; end with nil.
func (h *held) begin(m *message, stop context.CancelCauseFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.stop = stop
}

// extendLoop prolongs the visibility of what is held, until ended is closed.
func (r *s3Run) extendLoop(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(r.config.VisibilityTimeout / 16)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for due := r.due(time.Now()); len(due) > 0; {
				n := min(len(due), perReceive)
				r.extend(ctx, due[:n])
				due = due[n:]
			}
		case <-ended:
			return
		}
	}
}

// due is the messages of which half the time is over. Work that takes too long
// is stopped.
func (r *s3Run) due(now time.Time) (due []*message) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for m := range r.held.messages {
		switch half := r.config.VisibilityTimeout / 2; {
		case m.lost || m.until.Sub(now) > half:
		case now.Add(r.config.VisibilityTimeout).Sub(m.received) > r.config.VisibilityMax:
			if m.until.Sub(now) < r.config.VisibilityTimeout/8 && m.stop != nil {
				m.stop(errTooLong)
			}
		default:
			due = append(due, m)
		}
	}
	return due
}

// extend prolongs the visibility of up to ten messages. What fails is tried
// again at the next tick.
func (r *s3Run) extend(ctx context.Context, messages []*message) {
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
			m.lost = true // deleted, or given to somebody else
		}
	}
}

// changeVisibility sets when messages are seen again, and returns those of which
// it could not, by their place.
func (r *s3Run) changeVisibility(ctx context.Context, messages []*message, wait time.Duration) (map[string]types.BatchResultErrorEntry, error) {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt, VisibilityTimeout: seconds(wait)}
	}
	out, err := r.queue.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &r.config.QueueURL, Entries: entries})
	if err != nil {
		return nil, r.failed(actionVisibility, err)
	}
	return r.refused(actionVisibility, out.Failed), nil
}

// refused is what failed of a batch, counted.
func (r *s3Run) refused(action string, failed []types.BatchResultErrorEntry) map[string]types.BatchResultErrorEntry {
	if len(failed) == 0 {
		return nil
	}
	all := make(map[string]types.BatchResultErrorEntry, len(failed))
	for _, f := range failed {
		fault := FaultServer
		if f.SenderFault {
			fault = FaultOther
		}
		r.metrics.queueErrors.WithLabelValues(r.name, action, string(fault)).Inc()
		all[aws.ToString(f.Id)] = f
	}
	return all
}

// giveBack lets others have messages that nobody worked on.
func (r *s3Run) giveBack(ctx context.Context, messages []*message) {
	if len(messages) == 0 {
		return
	}
	r.putBack(ctx, messages, time.Second)
}

// putBack makes messages visible again, after a wait. If that fails, they come
// again when their visibility ends by itself.
func (r *s3Run) putBack(ctx context.Context, messages []*message, wait time.Duration) {
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

// backoff is how long a message that failed waits: longer each time it came,
// and never twice the same.
func (s *S3) backoff(receives int) time.Duration {
	wait := s.config.Retry.Max
	if n := max(receives, 1) - 1; n < 16 {
		wait = min(wait, s.config.Retry.Min<<n)
	}
	return max(s.config.Retry.Min, wait-rand.N(wait/4+1))
}

// deleteLoop deletes what is done, in batches, until there is no more.
func (r *s3Run) deleteLoop(ctx context.Context) {
	batch := make([]*message, 0, perReceive)
	for m := range r.done {
		batch = append(batch[:0], m)
		timer := time.NewTimer(r.linger)
		for open := true; open && len(batch) < perReceive; {
			select {
			case m, open = <-r.done:
				if open {
					batch = append(batch, m)
				}
			case <-timer.C:
				open = false
			}
		}
		timer.Stop()
		r.deleteBatch(ctx, batch)
		r.release(batch...)
	}
}

// deleteBatch deletes up to ten messages, and what fails of them again. A message
// that is not deleted comes again, which does no harm.
func (r *s3Run) deleteBatch(ctx context.Context, messages []*message) {
	waits := r.retry.start()
	for try := 1; ; try++ {
		left, err := r.tryDelete(ctx, messages)
		if len(left) == 0 {
			return
		}
		if try == batchTries {
			r.log.Warn("messages that are done could not be deleted; they come again, and are recognised", "count", len(left), "err", err)
			return
		}
		messages = left
		_ = sleep(ctx, waits.NextBackOff()) // ctx is never done
	}
}

func (r *s3Run) tryDelete(ctx context.Context, messages []*message) (left []*message, err error) {
	var names [perReceive]string
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		names[i] = strconv.Itoa(i)
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: &names[i], ReceiptHandle: &m.receipt}
	}
	within, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	out, err := r.queue.DeleteMessageBatch(within, &sqs.DeleteMessageBatchInput{QueueUrl: &r.config.QueueURL, Entries: entries})
	if err != nil {
		return messages, r.failed(actionDelete, err)
	}
	failed := r.refused(actionDelete, out.Failed)
	r.metrics.deleted.Add(float64(len(messages) - len(failed)))
	for i, m := range messages {
		if f, ok := failed[names[i]]; ok && !f.SenderFault { // else it is not ours any more
			left = append(left, m)
			err = fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
		}
	}
	return left, err
}
