package batch_test

import (
	"context"
	"fmt"
	"io"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/batch"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

func ExampleReading_Run() {
	reading := batch.Reading{Paths: []string{"../demo/trail.jsonl"}, Workers: 2, Bar: output.NewProgress(io.Discard)}
	found := reading.Run(context.Background())
	history := alerting.FoldUnder(exposure.DefaultPolicy(), found.Events)
	fmt.Println(found.Files, "file,", found.Unreadable.Total, "unreadable parts")
	fmt.Println(history.Exposures[0].User, history.Exposures[0].Severity)
	// Output:
	// 1 file, 0 unreadable parts
	// carol low
}
