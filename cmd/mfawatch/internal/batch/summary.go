package batch

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
)

// WriteJSON writes one alert a line.
func WriteJSON(w io.Writer, alerts []*processor.Alert) error {
	b := bufio.NewWriter(w)
	for _, a := range alerts {
		if err := output.WriteJSONLine(b, a); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Summary writes what was read, and what was unreadable.
func (f *Found) Summary(w io.Writer, alerts int, took time.Duration) {
	seconds := max(took.Seconds(), 1e-9)
	rate := float64(f.Stats.Inflated) / seconds
	fmt.Fprintf(w, "%s, %s, %s in, %s inflated\n", output.Count(f.Files, "file"), output.Count(f.Stats.Records, "record"),
		output.ByteSize(f.Stats.Bytes), output.ByteSize(f.Stats.Inflated))
	fmt.Fprintf(w, "%s, %s, %s unreadable\n", output.Count(int64(len(f.Events)), "watched record"), output.Count(int64(alerts), "alert"),
		output.Count(f.Unreadable.Total+f.Failures.Total, "part"))
	if f.Stats.Inflated > 0 {
		fmt.Fprintf(w, "%s, %.1f MB/s inflated, %s records/s\n", took.Round(time.Millisecond), rate/1e6,
			output.Grouped(int64(float64(f.Stats.Records)/seconds)))
	}
	f.Failed(w)
}

// Failed writes which inputs were not read, and why.
func (f *Found) Failed(w io.Writer) {
	if text := f.passed.String(); text != "" {
		fmt.Fprintf(w, "passed over: %s\n", text)
	}
	for _, list := range []*Faults{&f.Failures, &f.Unreadable} {
		list.Write(w)
	}
}
