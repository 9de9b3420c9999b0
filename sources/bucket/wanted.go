package bucket

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Wanted is a filter on the objects of a bucket or the files of a folder. The zero
// value passes all of them.
type Wanted struct {
	// Since and Until bound when something happened: at or after the one, before
	// the other; zero is no bound. They choose the day of delivery that stands in
	// the key. Nothing is delivered before it happened, so the first day is that of
	// Since. It is delivered within minutes as a rule, and the last day leaves room
	// for a day; what CloudTrail delivered later, which it does for up to 30 days
	// where a bucket could not be reached, is found with a later Until alone.
	Since, Until time.Time
	// Accounts and Regions are patterns, as path.Match knows them, for the
	// folders of the same name; none is all. A key of another form names neither
	// and passes (R33, R34).
	Accounts, Regions []string
}

// deliverySlack is how long after Until objects are still looked for.
const deliverySlack = 24 * time.Hour

// Validate returns every mistake in w. The errors are joined, each of the form
// "field: problem".
func (w Wanted) Validate() error {
	var errs []error
	if !w.Since.IsZero() && !w.Until.IsZero() && !w.Since.Before(w.Until) {
		errs = append(errs, fmt.Errorf("until: want a time after since, %s, got %s", w.Since.Format(time.RFC3339), w.Until.Format(time.RFC3339)))
	}
	for _, list := range []struct {
		name     string
		patterns []string
		sound    func(string) bool // of a pattern without wildcards
		example  string
	}{
		{"accounts", w.Accounts, IsAccount, "an account's number, 12 digits, or a pattern such as 1111*"},
		{"regions", w.Regions, IsRegion, "a region such as us-east-1, or a pattern such as us-*"},
	} {
		for _, p := range list.patterns {
			_, err := path.Match(p, "")
			if err != nil || p == "" || !strings.ContainsAny(p, `*?[\`) && !list.sound(p) {
				errs = append(errs, fmt.Errorf("%s: want %s, got %q", list.name, list.example, p))
			}
		}
	}
	return errors.Join(errs...)
}

// Account reports whether the account is wanted.
func (w Wanted) Account(number string) bool { return matches(w.Accounts, number) }

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return len(patterns) == 0
}

// days returns the first and the last day of delivery, midnight UTC; zero where
// there is no bound.
func (w Wanted) days() (first, last time.Time) {
	if !w.Since.IsZero() {
		first = midnight(w.Since)
	}
	if !w.Until.IsZero() {
		last = midnight(w.Until.Add(deliverySlack - 1))
	}
	return first, last
}

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// A PassedOver is a reason for which objects or folders are not read.
type PassedOver string

// The reasons, besides the kinds of keys other than KeyRecords.
const (
	PassedAccount PassedOver = "other accounts"
	PassedRegion  PassedOver = "other regions"
	PassedDay     PassedOver = "other times"
	PassedEmpty   PassedOver = "empty"
)

// Pass reports whether an object of this key, or a file at this path, is read. If
// not, it returns the reason.
func (w Wanted) Pass(key string) (PassedOver, bool) {
	k, ok := ParseKey(key)
	first, last := w.days()
	switch {
	case !ok:
		return "", true
	case k.Kind != KeyRecords:
		return PassedOver(strings.ReplaceAll(string(k.Kind), "_", " ")), false
	case !w.Account(k.Account):
		return PassedAccount, false
	case !matches(w.Regions, k.Region):
		return PassedRegion, false
	case k.Day.Before(first), !last.IsZero() && k.Day.After(last):
		return PassedDay, false
	}
	return "", true
}
