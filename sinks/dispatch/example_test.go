package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// A printer is a channel that prints.
type printer struct{}

func (printer) Send(_ context.Context, a *processor.Alert, ref string) (string, error) {
	fmt.Printf("%s, after %q\n", a.Title, ref)
	return "thread-1", nil
}

// The worst alert is sent first; what the sink returns comes back with the next
// alert of the exposure.
func Example() {
	dir, err := os.MkdirTemp("", "mfawatch")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(filepath.Join(dir, "mfawatch.db"), journal.Options{Logger: quiet})
	if err != nil {
		panic(err)
	}
	defer j.Close()
	w, err := dispatch.New(j, "printer", printer{}, dispatch.Options{Logger: quiet, Delivery: dispatch.DeliveryConfig{Concurrency: 1}})
	if err != nil {
		panic(err)
	}

	bob, root := "bob", "root"
	alerts := []*exposure.Alert{
		{ID: "1", Exposure: &bob, Step: exposure.Attempted, Severity: exposure.Medium, Title: "bob: denied"},
		{ID: "2", Exposure: &root, Step: exposure.Opened, Severity: exposure.Critical, Title: "root has no MFA"},
		{ID: "3", Exposure: &root, Step: exposure.Resolved, Severity: exposure.Info, Title: "root has MFA again"},
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := j.Append(ctx, []*trail.Event{{ID: "e", Account: "1", Time: time.Now(), Name: trail.DeactivateMFADevice}}); err != nil {
		panic(err)
	}
	fold := func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: alerts}
	}
	if _, err := j.Fold(ctx, time.Now(), fold, nil); err != nil {
		panic(err)
	}

	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	if err := j.Idle(ctx); err != nil {
		panic(err)
	}
	cancel()
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
	// root has no MFA, after ""
	// bob: denied, after ""
	// root has MFA again, after "thread-1"
}
