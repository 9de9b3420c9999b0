package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // so that time_zone works on every machine

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// An accountConfig names an AWS account.
type accountConfig struct {
	Name  string `koanf:"name"`
	Class string `koanf:"class"` // such as production or sandbox
}

// accountNumber is the form of an account ID.
var accountNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9]{12}$`)
})

const maxAccountName = 60 // bytes; shown in titles

// wordingMistakes returns every mistake in accounts, time_zone and http.url.
func (s *Settings) wordingMistakes(bad func(field, format string, args ...any)) {
	for _, number := range slices.Sorted(maps.Keys(s.Accounts)) {
		field := "accounts." + Clean(number)
		switch name := s.Accounts[number].Name; {
		case !accountNumber().MatchString(number):
			bad(field, "want an account's number, 12 digits in quotes")
		case len(name) > maxAccountName:
			bad(field+".name", "want at most %d bytes, got %d", maxAccountName, len(name))
		}
		if class := s.Accounts[number].Class; class != "" && (!validName().MatchString(class) || len(class) > maxAccountName) {
			bad(field+".class", "want a word of lower-case letters, digits and single - or _, such as production, got %s", strconv.Quote(Bounded(class)))
		}
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		bad("time_zone", "want a name such as Europe/Vienna, or UTC, got %s", strconv.Quote(Bounded(s.TimeZone)))
	}
	if s.HTTP.URL != "" {
		u, err := url.Parse(s.HTTP.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			given := strconv.Quote(Bounded(s.HTTP.URL))
			if strings.Contains(s.HTTP.URL, "@") {
				given = "one that is not shown, since it may hold a password"
			}
			bad("http.url", "want the public URL of the pages at http.address, such as https://mfawatch.example.net, got %s", given)
		}
	}
}

// Wording returns the names, the zone and the link that human sinks show. The
// configuration must be valid.
func (s *Settings) Wording() message.Wording {
	w := message.Wording{Page: strings.TrimRight(s.HTTP.URL, "/")}
	if zone, err := time.LoadLocation(s.TimeZone); err == nil && zone != time.UTC {
		w.Zone = zone
	}
	return w
}

// Locale returns the zone and the names of accounts that commands show. The
// configuration must be valid.
func (s *Settings) Locale() output.Locale {
	l := output.Locale{Zone: s.Wording().Zone, Names: map[string]string{}}
	for number, account := range s.Accounts {
		l.Names[number] = account.Name
	}
	return l
}
