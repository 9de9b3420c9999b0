package output

import (
	"cmp"
	"time"

	"github.com/mfawatch/mfawatch/sinks/message"
)

// A Locale words times and accounts for the people of a configuration. Output for
// machines does without: its times are in UTC, and its accounts are numbers. The zero
// value is UTC, without names.
type Locale struct {
	Zone  *time.Location    // nil: UTC
	Names map[string]string // of accounts, by number
}

// In returns t in the zone.
func (l Locale) In(t time.Time) time.Time { return t.In(cmp.Or(l.Zone, time.UTC)) }

// Head returns the head of a column of times, which names their zone.
func (l Locale) Head(what string) string {
	return what + " (" + cmp.Or(l.Zone, time.UTC).String() + ")"
}

// Local returns t to the second, without the zone: for where that is shown already.
func (l Locale) Local(t time.Time) string { return l.In(t).Format(time.DateTime) }

// Time returns t to the second, with the zone.
func (l Locale) Time(t time.Time) string { return l.In(t).Format(time.DateTime + " MST") }

// Account returns the number of an account, with its name: of the configuration, else
// the given one.
func (l Locale) Account(name, number string) string {
	return message.Account(cmp.Or(l.Names[number], name), number)
}
