package journal_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// removal is bob's device being deactivated.
func removal() *trail.Event {
	return &trail.Event{ID: "e1", Time: time.Now().Add(-10 * time.Minute), Name: trail.DeactivateMFADevice, Partition: "aws",
		Account: "111122223333", User: "bob", Serial: "arn:aws:iam::111122223333:mfa/bob"}
}

func fold(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
	return alerting.Notify(events, st, now, exposure.DefaultPolicy())
}

// temporary returns a path in a folder that remove removes.
func temporary() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		log.Fatal(err)
	}
	return filepath.Join(dir, "mfawatch.db"), func() { os.RemoveAll(dir) }
}

// An alert from its event to its ack.
func Example() {
	path, remove := temporary()
	defer remove()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer j.Close()
	if err := j.Register("pager"); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	fresh, err := j.Append(ctx, []*trail.Event{removal()})
	fmt.Println("appended:", fresh, err)

	_, err = j.Fold(ctx, time.Now(), fold, func(f journal.Folded) {
		for _, a := range f.Alerts {
			fmt.Println("alert:", f.Lane, a.Step)
		}
	})
	if err != nil {
		log.Fatal(err)
	}

	pending, err := j.Pending("pager", 0, 10)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range pending {
		alert, _, err := j.Take("pager", p.Number)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("send:", *alert.User)
		if err := j.Done("pager", outbox.Result{Number: p.Number, Outcome: outbox.Delivered, Ref: "incident-7"}); err != nil {
			log.Fatal(err)
		}
	}

	fmt.Println("idle:", j.Idle(ctx))
	// Output:
	// appended: 1 <nil>
	// alert: aws/111122223333 opened
	// send: bob
	// idle: <nil>
}

// A delivery that is offered again adds nothing.
func ExampleJournal_Append() {
	path, remove := temporary()
	defer remove()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer j.Close()
	for range 2 {
		fresh, err := j.Append(context.Background(), []*trail.Event{removal()})
		fmt.Println(fresh, err)
	}
	// Output:
	// 1 <nil>
	// 0 <nil>
}

// A dead letter goes back to its sink under a new number.
func ExampleJournal_Requeue() {
	path, remove := temporary()
	defer remove()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer j.Close()
	if err := j.Register("pager"); err != nil {
		log.Fatal(err)
	}
	if _, err := j.Append(context.Background(), []*trail.Event{removal()}); err != nil {
		log.Fatal(err)
	}
	if _, err := j.Fold(context.Background(), time.Now(), fold, nil); err != nil {
		log.Fatal(err)
	}
	if err := j.Bury("pager", outbox.DeadLetter{Number: 1, Cause: "no such service"}); err != nil {
		log.Fatal(err)
	}

	retried, err := j.Requeue("pager", 1)
	fmt.Println("retried:", retried, err)
	pending, err := j.Pending("pager", 0, 10)
	fmt.Println("pending:", pending[0].Number, err)
	// Output:
	// retried: 1 <nil>
	// pending: 2 <nil>
}
