package batch

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// RangeHelp explains the flags of a range.
const RangeHelp = `--since and --until are about when it happened: a day such as 2026-05-01, which
counts whole (UTC), a time such as 2026-05-01T08:00:00Z, or how long ago, such as 36h
or 7d. Objects and files are chosen by the day of delivery in their key, from that of
--since to one day after --until, since CloudTrail needs some minutes to deliver. (Where
a bucket could not be reached it goes on trying for up to 30 days: then name a later
--until.) --accounts and --regions choose by the key, too, and take lists and patterns:
111122223333,4444*. IAM's own records lie in us-east-1 (before 22 November 2021 in every
Region), sign-ins in any. What has a key of another form says none of it and is read.`

// Range holds the flags that select a part of a trail.
type Range struct {
	Since    string   `json:"since,omitempty"`
	Until    string   `json:"until,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Regions  []string `json:"regions,omitempty"`
}

// Add adds the flags.
func (f *Range) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.Since, "since", "", "from this `TIME` on: a day, a time, or how long ago (default: from the begin)")
	flags.StringVar(&f.Until, "until", "", "up to this `TIME` (default: to the end)")
	flags.StringSliceVar(&f.Accounts, "accounts", nil, "only these `ACCOUNTS`, by number or pattern (default: all)")
	flags.StringSliceVar(&f.Regions, "regions", nil, "only these `REGIONS`' folders, by name or pattern (default: all)")
}

// Wanted returns the selection of the flags at the time now, or every mistake.
func (f *Range) Wanted(now time.Time) (w bucket.Wanted, wrong []config.Mistake) {
	var ok bool
	if w.Since, ok = moment(f.Since, now, false); !ok {
		wrong = append(wrong, noMoment("--since", f.Since))
	}
	if w.Until, ok = moment(f.Until, now, true); !ok {
		wrong = append(wrong, noMoment("--until", f.Until))
	}
	w.Accounts, w.Regions = f.Accounts, f.Regions
	if len(wrong) == 0 {
		for _, m := range config.MistakesOf("", w.Validate()) {
			if m.Field == "until" { // as it was written: a day counts whole
				m.Problem = "want a time after --since, " + f.Since + ", got " + f.Until
			}
			wrong = append(wrong, config.Mistake{Field: "--" + m.Field, Problem: m.Problem})
		}
	}
	return w, wrong
}

// moment parses a time. A day is its start, or as an end the start of the next.
func moment(text string, now time.Time, end bool) (t time.Time, ok bool) {
	if text == "" {
		return t, true
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, true
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
		return t.UTC(), true
	}
	ago, err := config.ParseDuration(text)
	return now.UTC().Add(-ago), err == nil && ago >= 0
}

func noMoment(flag, text string) config.Mistake {
	return config.Mistake{Field: flag, Problem: "want a day such as 2026-05-01, a time such as 2026-05-01T08:00:00Z, or how long ago, such as 36h or 7d, got " +
		strconv.Quote(config.Bounded(text))}
}

// EventsWanted returns the events of wanted accounts. Files whose key names no
// account may hold others.
func EventsWanted(events []*trail.Event, w bucket.Wanted) []*trail.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *trail.Event) bool { return !w.Account(e.Account) })
}

// Touching returns the part of a history that overlaps the range, with every
// exposure in full.
func Touching(h alerting.History, w bucket.Wanted) alerting.History {
	touches := func(begin, end time.Time) bool {
		return !end.Before(w.Since) && (w.Until.IsZero() || begin.Before(w.Until))
	}
	var kept alerting.History
	for _, x := range h.Exposures {
		end := x.OpenedAt
		switch {
		case x.ResolvedAt != nil:
			end = *x.ResolvedAt
		case x.Open():
			end = w.Since
		}
		if touches(x.OpenedAt, end) {
			kept.Exposures = append(kept.Exposures, x)
		}
	}
	for _, c := range h.Campaigns {
		end := w.Since
		if at := c.Over(); at != nil {
			end = *at
		}
		if touches(c.First, end) {
			kept.Campaigns = append(kept.Campaigns, c)
		}
	}
	for _, a := range h.Attempts {
		if touches(a.First, a.Last) {
			kept.Attempts = append(kept.Attempts, a)
		}
	}
	return kept
}
