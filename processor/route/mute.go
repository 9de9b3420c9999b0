package route

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
)

// MuteTime is a mute time: hours of a day, on some days, in which people are not
// notified.
type MuteTime struct {
	// Hours such as 20:00-07:00. Hours past midnight belong to the day on which
	// they begin. Empty: the whole day.
	Hours string `koanf:"hours"`
	// Days such as sat or mon-fri. Empty: every day.
	Days []string `koanf:"days"`
	// TimeZone such as Europe/Vienna. Empty: the configuration's.
	TimeZone string `koanf:"time_zone"`
	// Critical mutes critical alerts, too.
	Critical bool `koanf:"critical"`
}

// muteWindow is a compiled MuteTime.
type muteWindow struct {
	start, end int // minutes of the day; an end that is not later belongs to the next day
	days       [7]bool
	zone       *time.Location
	critical   bool
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday counts

// compile returns the window of q. zone applies if q names none.
func (q MuteTime) compile(zone *time.Location) (muteWindow, error) {
	w := muteWindow{end: 24 * 60, zone: zone, critical: q.Critical}
	var errs []error
	if q.Hours != "" {
		from, to, ok := strings.Cut(q.Hours, "-")
		var err error
		if w.start, err = clock(from); err == nil && ok {
			w.end, err = clock(to)
		}
		if !ok || err != nil || w.start == 24*60 || w.start == w.end {
			errs = append(errs, fmt.Errorf("hours: want two times of a day, such as 20:00-07:00, got %q", shorten(q.Hours)))
		}
	}
	for i, days := range q.Days {
		from, to, ok := strings.Cut(days, "-")
		if !ok {
			to = from
		}
		a, b := slices.Index(dayNames, strings.TrimSpace(from)), slices.Index(dayNames, strings.TrimSpace(to))
		if a < 0 || b < 0 {
			unknown := from
			if a >= 0 {
				unknown = to
			}
			errs = append(errs, fmt.Errorf("days[%d]: unknown %q%s", i, shorten(unknown), rule.Suggestion(unknown, dayNames)))
			continue
		}
		for w.days[a] = true; a != b; w.days[a] = true {
			a = (a + 1) % 7
		}
	}
	if len(q.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	if q.TimeZone != "" {
		var err error
		w.zone, err = time.LoadLocation(q.TimeZone)
		if err != nil || q.TimeZone == "Local" {
			errs = append(errs, fmt.Errorf("time_zone: want a name such as Europe/Vienna, or UTC, got %q", shorten(q.TimeZone)))
		}
	}
	if q.Hours == "" && len(q.Days) == 0 {
		errs = append(errs, errors.New("hours: missing; want hours such as 20:00-07:00, days such as [sat, sun], or both"))
	}
	return w, errors.Join(errs...)
}

// clock parses a time of the day into minutes. 24:00 is the end of the day.
func clock(text string) (int, error) {
	hour, minute, ok := strings.Cut(strings.TrimSpace(text), ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	if !ok || err != nil || err2 != nil || len(minute) != 2 || h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, errors.New("not a time of the day")
	}
	return int(h*60 + m), nil
}

// until returns when the window around t ends; zero if t lies in none.
func (w *muteWindow) until(t time.Time) time.Time {
	local := t.In(w.zone)
	y, m, d := local.Date()
	for _, day := range []int{d, d - 1} { // one that began yesterday may go on
		if !w.days[time.Date(y, m, day, 12, 0, 0, 0, w.zone).Weekday()] {
			continue
		}
		end := w.end
		if end <= w.start {
			end += 24 * 60
		}
		from, to := w.at(y, m, day, w.start), w.at(y, m, day, end)
		if !t.Before(from) && t.Before(to) {
			return to
		}
	}
	return time.Time{}
}

// at returns a time of the day on the clocks of the zone, in summer time or
// not.
func (w *muteWindow) at(y int, m time.Month, d, minutes int) time.Time {
	return time.Date(y, m, d, 0, minutes, 0, 0, w.zone)
}

// mutedUntil returns the end of the windows that follow t without a break, for
// an alert that is critical or not; zero if t lies in none.
func mutedUntil(windows []muteWindow, t time.Time, critical bool) time.Time {
	held := time.Time{}
	for range maxWindows {
		next := time.Time{}
		for i := range windows {
			if w := &windows[i]; w.critical || !critical {
				if end := w.until(t); end.After(next) {
					next = end
				}
			}
		}
		if next.IsZero() {
			break
		}
		held, t = next, next
	}
	return held.UTC()
}

// maxWindows bounds how many windows may follow one another before people are
// notified all the same. A week of whole days in several zones has fewer.
const maxWindows = 64

// coversWeek reports whether the mute times leave no time in a week.
func coversWeek(quiet []MuteTime) bool {
	var windows []muteWindow
	for _, q := range quiet {
		w, _ := q.compile(time.UTC)
		windows = append(windows, w)
	}
	start := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	return len(windows) > 0 && mutedUntil(windows, start, false).Sub(start) > 8*24*time.Hour
}
