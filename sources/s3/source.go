package s3

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/time/rate"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// Source reads the objects that the messages of an SQS queue name. One message is
// one delivery; it is deleted when all its objects are done. The objects are
// streamed.
type Source struct {
	name     string
	config   Config
	log      *slog.Logger
	metrics  *metrics
	objects  *bucket.Objects
	queue    queueCalls
	uri      string // of the queue, as origins name it
	retry    sources.Backoff
	patience time.Duration // for work under way at shutdown
	linger   time.Duration // how long a delete waits for others
	longest  time.Duration // work on one message

	skipped   atomic.Uint64 // by filters
	reading   atomic.Bool   // the queue was read since Run began
	receiving status.Status
}

var _ sources.Source = (*Source)(nil)

// queueCalls holds the methods of an SQS client that the source calls. With the
// client itself here, the linker would keep all of its methods.
type queueCalls struct {
	receive func(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	delete  func(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	change  func(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// New returns the source called name, which reaches AWS as reach says. The
// queue is called in the region that its URL names. New sends no request.
func New(name string, c Config, reach aws.Config, o sources.Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	client := sqs.NewFromConfig(reach, func(o *sqs.Options) {
		if region := QueueRegion(c.QueueURL); region != "" && o.BaseEndpoint == nil {
			o.Region = region
		}
	})
	return newSource(name, c, queueCalls{client.ReceiveMessage, client.DeleteMessageBatch, client.ChangeMessageVisibilityBatch}, bucket.NewObjects(reach), o), nil
}

func newSource(name string, c Config, queue queueCalls, objects *bucket.Objects, o sources.Options) *Source {
	return &Source{
		name: name, config: c, log: o.Log(name), metrics: newMetrics(name, o.Registerer), objects: objects, queue: queue,
		uri:      "sqs://" + c.QueueURL[strings.LastIndexByte(c.QueueURL, '/')+1:] + "/",
		retry:    sources.Backoff{First: time.Second, Longest: 30 * time.Second},
		patience: 15 * time.Second, // less than the drain time
		linger:   50 * time.Millisecond,
		longest:  maxWork,
	}
}

// perReceive is how many messages SQS returns or deletes in one call at most.
const perReceive = 10

// run is one call of Run.
type run struct {
	*Source
	handle processor.Handler
	work   chan *message // received, to be worked on
	done   chan *message // to be deleted
	held   held
	warn   rate.Sometimes

	caughtUp sources.CaughtUp
}

// Run reads until ctx is done. Then it finishes the messages under way, within 15
// seconds, and makes the others visible again. Errors of AWS are logged, counted
// and retried: see Ready.
func (s *Source) Run(ctx context.Context, h processor.Handler) error {
	r := &run{Source: s, handle: h, work: make(chan *message), done: make(chan *message, perReceive), warn: rate.Sometimes{First: 5, Interval: time.Second},
		caughtUp: sources.CaughtUp{Log: s.log}}
	r.held.messages = make(map[*message]struct{})
	last := context.WithoutCancel(ctx)
	working, abort := context.WithCancel(last)
	defer abort()

	// Enough pollers and deleters to keep the workers busy even if a call to SQS
	// takes as long as an object.
	sides := s.config.Concurrency/perReceive + 2
	var pollers, workers, deleters, extender sync.WaitGroup
	for range sides {
		pollers.Go(func() { r.poll(ctx) })
		deleters.Go(func() { r.deleteLoop(last) })
	}
	for range s.config.Concurrency {
		workers.Go(func() {
			w := &worker{run: r}
			for m := range r.work {
				w.message(working, m)
			}
		})
	}
	ended := make(chan struct{})
	extender.Go(func() { r.extendLoop(last, ended) })

	pollers.Wait()
	close(r.work)
	patience := time.AfterFunc(s.patience, abort)
	workers.Wait()
	patience.Stop()
	close(r.done)
	deleters.Wait()
	close(ended)
	extender.Wait()
	s.reading.Store(false)
	return nil
}

// poll receives messages and hands them to the workers.
func (r *run) poll(ctx context.Context) {
	waits := r.retry.Start()
	for ctx.Err() == nil {
		messages, err := r.receive(ctx)
		if ctx.Err() != nil {
			r.requeueNow(ctx, messages)
			return
		}
		if err != nil {
			if r.receiving.SetAs(string(bucket.FaultOf(err)), err) {
				r.log.Warn("cannot receive from the queue; retrying", "err", err)
			}
			_ = sources.Sleep(ctx, waits.NextBackOff()) // the loop ends with ctx
			continue
		}
		if changed := r.receiving.Set(nil); !r.reading.Swap(true) || changed {
			r.log.Info("the queue is read", "queue", r.config.QueueURL)
		}
		waits.Reset()
		r.caughtUp.Behind(int64(len(messages)), time.Now())
		for i, m := range messages {
			select {
			case r.work <- m:
			case <-ctx.Done():
				r.requeueNow(ctx, messages[i:])
				return
			}
		}
	}
}

// Ready returns nil while the queue can be read; otherwise an error with its
// remedy.
func (s *Source) Ready() error {
	if err := s.receiving.Err(); err != nil {
		return err
	}
	if !s.reading.Load() {
		return fmt.Errorf("s3 source %s: the queue was not polled yet", s.name)
	}
	return nil
}
