package ticket

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// MaxText bounds the text of one alert in a ticket, in bytes: the length of
// ServiceNow's description, and as much as a person reads.
const MaxText = 4000

// Key returns the key by which the ticket of an alert is found again: the exposure, or
// the alert itself if it belongs to none; and the recipient who, since each has a
// ticket of its own. No character of it has a meaning in a query.
func Key(a *processor.Alert, who string) string {
	if a.Exposure != nil {
		return KeyFor(*a.Exposure, who)
	}
	return KeyFor(a.ID, who)
}

// KeyFor returns the key of an exposure or an alert for the recipient who.
func KeyFor(key, who string) string {
	digest := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	if !plainKey().MatchString(key) {
		key = digest(key)
	}
	if who != "" {
		key += "-" + digest(who)[:8]
	}
	return key
}

// AtSite calls send with the reference that send returned for the site before, or ""
// if ref is that of a ticket elsewhere: a sink keeps its references when its URL
// changes, and the number of a ticket may be another ticket there.
func AtSite(site, ref string, send func(ref string) (string, error)) (newRef string, err error) {
	host := site
	if u, err := url.Parse(site); err == nil {
		host = strings.ToLower(u.Host)
	}
	known := ""
	if at, rest, _ := strings.Cut(ref, " "); at == host {
		known = rest
	}
	newRef, err = send(known)
	switch {
	case newRef != "":
		return host + " " + newRef, err
	case err != nil:
		return ref, err
	}
	return "", nil
}

// WithoutSite returns a reference of AtSite as send returned it.
func WithoutSite(ref string) string {
	_, rest, _ := strings.Cut(ref, " ")
	return rest
}

var plainKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,90}$`) })

// Mark ends the text of an alert: a ticket that holds it was sent the alert.
func Mark(a *processor.Alert) string { return "mfawatch alert " + safetext.Clean(a.ID, 100) }

// forgedMark begins the mark of an alert, or what a site may show as its beginning.
var forgedMark = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`mfawatch\s+alert`) })

// Marked reports whether the mark of the alert stands in a text.
func Marked(text string, a *processor.Alert) bool {
	mark := Mark(a)
	for {
		_, rest, found := strings.Cut(text, mark)
		if !found {
			return false
		}
		if rest == "" || !strings.ContainsRune("-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", rune(rest[0])) {
			return true
		}
		text = rest
	}
}

// Text is the text of an alert, in lines, with the mark at its end, and
// MaxText at most. No other part of it is a mark: the IDs of alerts that follow, such
// as an escalation, can be computed, and a text that held one would silence that
// alert. Harmless takes the meaning from what the channel would understand as more
// than text.
func Text(m message.Message, a *processor.Alert, t message.Texts, part string, harmless func(string) string, before ...string) string {
	var lines []string
	if t[part] == nil {
		lines = append(lines, m.Summary, "")
		if m.Advice != "" {
			lines = append(lines, "What to do now: "+m.Advice, "")
		}
		for _, l := range m.Lists {
			lines = append(append(append(lines, l.Name+":"), l.Text()...), "")
		}
		for _, f := range m.Facts {
			lines = append(lines, f.Name+": "+f.Value)
		}
		lines = append(lines, "")
		for _, l := range m.Links {
			lines = append(lines, l.Text+": "+l.URL)
		}
	}
	text := t.Or(strings.Join(lines, "\n"), part, m, a, MaxText)
	if len(before) > 0 {
		text = strings.Join(before, "\n") + "\n\n" + text
	}
	end := "\n\n" + Mark(a)
	return forgedMark().ReplaceAllString(cleanLines(harmless(text), MaxText-len(end)), "mfawatch-alert") + end
}

// cleanLines cleans each line of a text, and cuts the whole to max bytes, with
// a mark where it was cut.
func cleanLines(text string, max int) string {
	const mark = "\n…"
	var clean []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		clean = append(clean, safetext.Clean(strings.TrimRight(line, " \r"), max))
	}
	text = strings.Join(clean, "\n")
	if len(text) <= max {
		return text
	}
	end := max - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// Exploited reports whether the exposure was exploited, which is sent even if it is
// over.
func Exploited(a *processor.Alert) bool { return slices.Contains(a.Reasons, exposure.ReasonExploited) }

// SiteProblem returns the problem with the address of a site, "" if there is none.
func SiteProblem(address, example string) string {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return "missing; want the address of your site, such as " + example
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.User != nil, strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return "want the address of your site alone, such as " + example
	case u.Scheme == "http" && !secret.Loopback(u.Hostname()):
		return "want https://, since credentials are sent to it, such as " + example
	}
	return ""
}

// ChoiceMistakes reports the mistakes in choices by severity.
func ChoiceMistakes(field string, choices map[string]string, known ...string) error {
	var errs []error
	for _, severity := range slices.Sorted(maps.Keys(choices)) {
		name := field + "." + safetext.Clean(severity, 40)
		switch value := choices[severity]; {
		case !slices.Contains(exposure.Severities, exposure.Severity(severity)):
			errs = append(errs, fmt.Errorf("%s: no such severity; known are info, low, medium, high, critical", name))
		case value == "":
			errs = append(errs, fmt.Errorf("%s: missing", name))
		case len(known) > 0 && !slices.Contains(known, value):
			errs = append(errs, fmt.Errorf("%s: want one of %s, got %.40q", name, strings.Join(known, ", "), value))
		}
	}
	return errors.Join(errs...)
}

// Choice returns the choice for a severity.
func Choice(severity exposure.Severity, chosen, defaults map[string]string) string {
	if value := chosen[string(severity)]; value != "" {
		return value
	}
	return defaults[string(severity)]
}

// Urgent is the severity of a ticket or an incident: an escalation is a level above its
// exposure; what an intruder may hold is critical, and so is an end that comes
// first, since the exposure was exploited.
func Urgent(a *processor.Alert) exposure.Severity {
	if a.Step == exposure.Suspect || a.Step == exposure.Resolved {
		return exposure.Critical
	}
	if i := a.Severity.Level(); a.Step == exposure.Escalated && i >= 0 {
		return exposure.Severities[min(i+1, len(exposure.Severities)-1)]
	}
	return a.Severity
}
