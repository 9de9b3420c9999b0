package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Bounds of a story.
const (
	pageSteps  = 200
	pageRecord = 64 << 10 // bytes of one record
	pageIndent = 8        // levels of it that are indented
)

// A story is an exposure with its alerts, the newest first.
type story struct {
	Title, Severity, State, User, Account, Since, Resolved, Resolution string
	Close                                                              string // the command that closes it; "" if it is not open
	Alerts                                                             []storyAlert
	Older                                                              bool // some are left out
}

type storyAlert struct {
	message.Message
	When, Record string
	Deliveries   []storyDelivery
}

type storyDelivery struct{ Name, Text string }

// story returns the story of an exposure or a campaign.
func (p pages) story(ctx context.Context, id string) (*story, error) {
	x, err := p.group.ask(nil).ShowExposure(ctx, id)
	if err != nil {
		return nil, err
	}
	words := p.wording()
	s := &story{Severity: string(x.Severity), State: x.State, User: userName(x.User, x.Root), Account: message.Account(x.AccountName, x.Account),
		Since: words.Time(x.OpenedAt), Resolution: x.Resolution, Older: len(x.Alerts) > pageSteps}
	s.Title = s.User + " in " + s.Account
	if x.State == StateOpen || x.State == StateSuspect {
		s.Close = "mfawatch exposures close " + quoted(x.ID) + " --by NAME --note TEXT"
	}
	if x.ResolvedAt != nil {
		s.Resolved = words.Time(*x.ResolvedAt)
	}
	for _, r := range x.Alerts[:min(len(x.Alerts), pageSteps)] {
		s.Alerts = append(s.Alerts, newStoryAlert(r, words, p.Config().Locale()))
	}
	if len(s.Alerts) > 0 {
		s.Title = cmp.Or(s.Alerts[0].Title, s.Title)
	}
	return s, nil
}

// quoted returns an ID for a shell: as it is, if it is one of this program.
func quoted(id string) string {
	if strings.Trim(id, "0123456789abcdef") == "" {
		return id
	}
	return "'" + strings.ReplaceAll(safetext.Clean(id, maxName), "'", `'\''`) + "'"
}

func newStoryAlert(r outbox.Recorded, words message.Wording, locale output.Locale) storyAlert {
	a := storyAlert{Message: words.Message(r.Alert), When: words.Time(r.Alert.Time)}
	var b bytes.Buffer
	switch size := len(r.Alert.Record); {
	case size > pageRecord:
		a.Record = "Too large for this page (" + output.ByteSize(int64(size)) + "): mfawatch exposures show --format json prints it."
	case size > 0 && json.Indent(&b, r.Alert.Record, "", "") == nil:
		a.Record = indented(strings.Split(b.String(), "\n"))
	}
	for _, d := range r.Deliveries {
		a.Deliveries = append(a.Deliveries, storyDelivery{d.Sink, safetext.Line(DeliveryText(d, locale), maxProblem)})
	}
	return a
}

// indented returns the lines of a record, cleaned and indented by their level. Deep
// levels stand below each other: a record of them alone would fill megabytes.
func indented(lines []string) string {
	level := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "}") || strings.HasPrefix(line, "]") {
			level--
		}
		lines[i] = strings.Repeat("  ", min(level, pageIndent)) + safetext.Clean(line, pageRecord)
		if strings.HasSuffix(line, "{") || strings.HasSuffix(line, "[") {
			level++
		}
	}
	return strings.Join(lines, "\n")
}
