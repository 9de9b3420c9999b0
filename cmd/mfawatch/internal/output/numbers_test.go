package output

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 45 * time.Second: "45s", time.Minute: "1m", 190 * time.Second: "3m10s",
		2*time.Hour + 5*time.Minute + 9*time.Second: "2h5m", 24 * time.Hour: "1d", 76 * time.Hour: "3d4h", 24*time.Hour + time.Second: "1d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 2_500_000: "2.5 MB", 3_000_000_000: "3.0 GB"} {
		if got := ByteSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	if got := Count(1, "match") + ", " + Count(2, "match") + ", " + Count(0, "alert"); got != "1 match, 2 matches, 0 alerts" {
		t.Error(got)
	}
}
