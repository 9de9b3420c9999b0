package route

import (
	"testing"
	"time"
)

func TestMuteTimes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		quiet []MuteTime
		now   string
		want  string // "": not muted
	}{
		{"before", []MuteTime{{Hours: "20:00-07:00"}}, "2026-05-04 19:59", ""},
		{"at its begin", []MuteTime{{Hours: "20:00-07:00"}}, "2026-05-04 20:00", "2026-05-05 07:00"},
		{"after midnight", []MuteTime{{Hours: "20:00-07:00"}}, "2026-05-05 03:00", "2026-05-05 07:00"},
		{"at its end", []MuteTime{{Hours: "20:00-07:00"}}, "2026-05-05 07:00", ""},
		{"within a day", []MuteTime{{Hours: "12:00-13:00"}}, "2026-05-05 12:30", "2026-05-05 13:00"},
		{"to midnight", []MuteTime{{Hours: "12:00-24:00"}}, "2026-05-05 12:30", "2026-05-06 00:00"},
		{"the night that began on a day", []MuteTime{{Hours: "20:00-07:00", Days: []string{"mon"}}}, "2026-05-05 06:00", "2026-05-05 07:00"},
		{"not the one before", []MuteTime{{Hours: "20:00-07:00", Days: []string{"mon"}}}, "2026-05-04 06:00", ""},
		{"days across a week", []MuteTime{{Days: []string{"fri-mon"}}}, "2026-05-02 06:00", "2026-05-05 00:00"},
		{"the last day of a month", []MuteTime{{Hours: "20:00-07:00"}}, "2026-06-01 01:00", "2026-06-01 07:00"},
		{"one into the next", []MuteTime{{Hours: "20:00-07:00"}, {Hours: "06:00-09:00"}}, "2026-05-04 21:00", "2026-05-05 09:00"},
		{"in winter", []MuteTime{{Hours: "20:00-07:00", TimeZone: "Europe/Vienna"}}, "2026-01-05 19:30", "2026-01-06 06:00"},
		{"in summer", []MuteTime{{Hours: "20:00-07:00", TimeZone: "Europe/Vienna"}}, "2026-05-04 18:30", "2026-05-05 05:00"},
		{"the night that is short", []MuteTime{{Hours: "22:00-07:00", TimeZone: "Europe/Vienna"}}, "2026-03-28 22:00", "2026-03-29 05:00"},
		{"the night that is long", []MuteTime{{Hours: "22:00-07:00", TimeZone: "Europe/Vienna"}}, "2026-10-24 21:00", "2026-10-25 06:00"},
	} {
		var windows []muteWindow
		for _, q := range tt.quiet {
			w, err := q.compile(time.UTC)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			windows = append(windows, w)
		}
		now, err := time.Parse("2006-01-02 15:04", tt.now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if until := mutedUntil(windows, now, false); !until.IsZero() {
			got = until.UTC().Format("2006-01-02 15:04")
		}
		if got != tt.want {
			t.Errorf("%s: quiet until %q, want %q", tt.name, got, tt.want)
		}
	}
}

// For any hours, muted alerts are delivered at the first time that is not muted.
func FuzzMuteTimes(f *testing.F) {
	f.Add("20:00-07:00", "sat-sun", "Europe/Vienna", int64(1777900000))
	f.Add("00:30-00:31", "", "America/St_Johns", int64(1793500000))
	f.Fuzz(func(t *testing.T, hours, days, zone string, at int64) {
		q := MuteTime{Hours: hours, TimeZone: zone}
		if days != "" {
			q.Days = []string{days}
		}
		w, err := q.compile(time.UTC)
		if err != nil || at < 0 || at > 1<<33 || coversWeek([]MuteTime{q}) {
			return
		}
		now := time.Unix(at, 0)
		until := mutedUntil([]muteWindow{w}, now, false)
		if until.IsZero() {
			return
		}
		if !until.After(now) || until.Sub(now) > 9*24*time.Hour || !w.until(until).IsZero() {
			t.Fatalf("%+v at %s: until %s", q, now, until)
		}
		for at := now; at.Before(until); at = at.Add(time.Hour) {
			if w.until(at).IsZero() {
				t.Fatalf("%+v: not quiet at %s, held until %s", q, at, until)
			}
		}
	})
}
