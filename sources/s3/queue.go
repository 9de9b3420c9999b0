package s3

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// longPoll is how long SQS waits for a message, in seconds; it allows no more.
const longPoll = 20

// batchTries is how often a batch is tried before its messages are left to SQS to
// redeliver.
const batchTries = 5

// A message is one that this process has received and neither deleted nor put back.
type message struct {
	id       string
	receipt  string
	body     string
	receives int       // this one included
	sent     time.Time // zero: not known
	received time.Time

	// Guarded by held.mu.
	until time.Time               // others see it from then on
	lost  bool                    // it was deleted, or another consumer has it
	stop  context.CancelCauseFunc // stops the work on it; nil: none is under way
}

var systemAttributes = []types.MessageSystemAttributeName{
	types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp,
}

// A queueError is an error of a call to the queue, with its remedy.
type queueError struct {
	source, queue, action string
	err                   error
}

func (e *queueError) Unwrap() error { return e.err }

func (e *queueError) Error() string {
	help := ""
	switch bucket.FaultOf(e.err) {
	case bucket.FaultMissing:
		help = "there is no such queue: correct queue_url or region: "
	case bucket.FaultDenied:
		help = "access denied: allow " + e.action + " on the queue in the role's policy: "
	case bucket.FaultKMS:
		help = "the queue's key may not be used: allow kms:Decrypt in the role's policy and in the key's: "
	case bucket.FaultCredentials:
		help = "no credentials that AWS knows: give the machine a role, or set AWS_PROFILE: "
	}
	return "s3 source " + e.source + ": queue " + e.queue + ": " + help + e.err.Error()
}

// failed counts a failed call to the queue and returns its error.
func (s *Source) failed(action string, err error) error {
	if !errors.Is(err, context.Canceled) {
		s.metrics.queueErrors.WithLabelValues(action, string(bucket.FaultOf(err))).Inc()
	}
	return &queueError{s.name, s.config.QueueURL, "sqs:" + action, err}
}

// receive waits for messages.
func (r *run) receive(ctx context.Context) ([]*message, error) {
	asked := time.Now()
	out, err := r.queue.receive(ctx, &sqs.ReceiveMessageInput{
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
	// The visibility timeout starts when SQS returns the message. After a long poll
	// the time of that is not known.
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

// release forgets messages that were deleted or are visible to other consumers.
func (r *run) release(messages ...*message) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for _, m := range messages {
		delete(r.held.messages, m)
	}
	r.metrics.inFlight.Set(float64(len(r.held.messages)))
}

// refused returns and counts the failed entries of a batch.
func (r *run) refused(action string, failed []types.BatchResultErrorEntry) map[string]types.BatchResultErrorEntry {
	if len(failed) == 0 {
		return nil
	}
	all := make(map[string]types.BatchResultErrorEntry, len(failed))
	for _, f := range failed {
		fault := bucket.FaultServer
		if f.SenderFault {
			fault = bucket.FaultOther
		}
		r.metrics.queueErrors.WithLabelValues(action, string(fault)).Inc()
		all[aws.ToString(f.Id)] = f
	}
	return all
}

// deleteLoop deletes acknowledged messages in batches until there are no more.
func (r *run) deleteLoop(ctx context.Context) {
	batch := make([]*message, 0, perReceive)
	for m := range r.done {
		batch = append(batch[:0], m)
		lingered := time.After(r.linger)
		for open := true; open && len(batch) < perReceive; {
			select {
			case m, open = <-r.done:
				if open {
					batch = append(batch, m)
				}
			case <-lingered:
				open = false
			}
		}
		r.deleteBatch(ctx, batch)
		r.release(batch...)
	}
}

// deleteBatch deletes up to ten messages, and retries those that fail. A message
// that is not deleted comes again and is recognised.
func (r *run) deleteBatch(ctx context.Context, messages []*message) {
	waits := r.retry.Start()
	for try := 1; ; try++ {
		left, err := r.tryDelete(ctx, messages)
		if len(left) == 0 {
			return
		}
		if try == batchTries {
			r.log.Warn("acknowledged messages could not be deleted; they come again and are recognised", "count", len(left), "err", err)
			return
		}
		messages = left
		_ = sources.Sleep(ctx, waits.NextBackOff()) // ctx is never done
	}
}

func (r *run) tryDelete(ctx context.Context, messages []*message) (left []*message, err error) {
	var names [perReceive]string
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		names[i] = strconv.Itoa(i)
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: &names[i], ReceiptHandle: &m.receipt}
	}
	within, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	out, err := r.queue.delete(within, &sqs.DeleteMessageBatchInput{QueueUrl: &r.config.QueueURL, Entries: entries})
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
