package main

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/mfawatch/mfawatch/processor"
)

// writeJSON writes one alert a line.
func writeJSON(w io.Writer, alerts []*processor.Alert) error {
	b := bufio.NewWriter(w)
	for _, a := range alerts {
		if err := writeJSONLine(b, a); err != nil {
			return err
		}
	}
	return b.Flush()
}

// summary says what was read, and what could not be.
func (f *found) summary(w io.Writer, alerts int, took time.Duration) {
	seconds := max(took.Seconds(), 1e-9)
	rate := float64(f.stats.Inflated) / seconds
	fmt.Fprintf(w, "%s, %s, %s in, %s inflated\n", count(f.files, "file"), count(f.stats.Records, "record"),
		byteSize(f.stats.Bytes), byteSize(f.stats.Inflated))
	fmt.Fprintf(w, "%s, %s, %s unreadable\n", count(int64(len(f.events)), "match"), count(int64(alerts), "alert"),
		count(f.unreadable.total+f.failures.total, "part"))
	fmt.Fprintf(w, "%s, %.1f MB/s inflated, %s records/s\n", took.Round(time.Millisecond), rate/1e6,
		grouped(int64(float64(f.stats.Records)/seconds)))
	f.failed(w)
}

// failed names what was not read, and why.
func (f *found) failed(w io.Writer) {
	if text := f.passed.String(); text != "" {
		fmt.Fprintf(w, "passed over: %s\n", text)
	}
	for _, list := range []*bad{&f.failures, &f.unreadable} {
		list.write(w)
	}
}
