package httpsend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// The verdict on every status there is.
func TestStatusVerdicts(t *testing.T) {
	now := time.Now()
	for status := 100; status <= 599; status++ {
		var want sinks.Verdict
		switch {
		case status < 200:
			want = sinks.VerdictAmbiguous
		case status < 300:
			want = sinks.VerdictDelivered
		case status < 400:
			want = sinks.VerdictMisconfigured
		default:
			want = sinks.VerdictPermanent
			if status >= 500 {
				want = sinks.VerdictAmbiguous
			}
			switch status {
			case 401, 403, 407, 410:
				want = sinks.VerdictMisconfigured
			case 429:
				want = sinks.VerdictThrottled
			case 408, 425, 503:
				want = sinks.VerdictRetry
			}
		}
		err := httpsend.StatusError(status, http.Header{}, now)
		if got, after := sinks.VerdictOf(err); got != want || after != 0 {
			t.Errorf("%d: %s after %s, want %s", status, got, after, want)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: the error does not say it: %v", status, err)
		}

		// Retry-After means something beside 429 and 503 alone.
		if status == 503 {
			want = sinks.VerdictThrottled
		}
		got, after := sinks.VerdictOf(httpsend.StatusError(status, http.Header{"Retry-After": {"7"}}, now))
		if delivered := after == 7*time.Second; got != want || delivered != (status == 429 || status == 503) {
			t.Errorf("%d with Retry-After: %s after %s, want %s", status, got, after, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 25, 0, 59, 30, 0, time.UTC) // an hour that clocks in Europe have twice
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		name, value, date string
		want              time.Duration
	}{
		{"absent", "", "", 0},
		{"seconds", "120", "", 2 * time.Minute},
		{"seconds with space around", " 5 ", "", 5 * time.Second},
		{"zero", "0", "", 0},
		{"leading zeros", "007", "", 7 * time.Second},
		{"negative", "-5", "", 0},
		{"a fraction", "1.5", "", 0},
		{"garbage", "soon", "", 0},
		{"a number in other digits", "٣", "", 0},
		{"an hour", "3600", "", time.Hour},
		{"huge", "86400", "", time.Hour},
		{"longer than any number", strings.Repeat("9", 400), "", time.Hour},
		{"a date", at(90 * time.Second), "", 90 * time.Second},
		{"a date in RFC 850", now.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT"), "", time.Minute},
		{"a date of asctime", now.Add(time.Minute).Format(time.ANSIC), "", time.Minute},
		{"a date that passed", at(-time.Minute), "", 0},
		{"a date far away", at(100 * 365 * 24 * time.Hour), "", time.Hour},
		{"a server whose clock is late", at(-3*time.Hour + 30*time.Second), at(-3 * time.Hour), 30 * time.Second},
		{"a server whose clock is early", at(3*time.Hour + 30*time.Second), at(3 * time.Hour), 30 * time.Second},
		{"a server that does not know its time", at(30 * time.Second), "yesterday", 30 * time.Second},
	}
	for _, tt := range tests {
		header := http.Header{}
		if tt.value != "" {
			header.Set("Retry-After", tt.value)
		}
		if tt.date != "" {
			header.Set("Date", tt.date)
		}
		if got := httpsend.RetryAfter(header, now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Sun, 25 Oct 2026 01:00:00 GMT", "Sun, 25 Oct 2026 00:59:30 GMT")
	f.Add("-1", "x")
	f.Fuzz(func(t *testing.T, value, date string) {
		after := httpsend.RetryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(1_800_000_000, 0))
		if after < 0 || after > time.Hour {
			t.Errorf("%q at %q: %s", value, date, after)
		}
	})
}
