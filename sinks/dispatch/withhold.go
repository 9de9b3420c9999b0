package dispatch

import (
	"fmt"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// withheld stands for a name that the channel may have refused, and whyWithheld is
// the explanation of such a delivery.
const (
	withheld    = "(withheld)"
	whyWithheld = "the channel refused its text, and was sent it without names and texts of the record"
)

// withhold reports whether the head of a lane is sent again without the text of its
// record, as human sinks are once: an alert that a channel refuses, or that fails by
// itself for long, may hold text that a filter stops, such as the test string of a
// virus scanner: callers of AWS choose it.
func (w *Worker) withhold(it item, err error) bool {
	if !w.config.People || it.lane.withheld {
		return false
	}
	it.lane.withheld = true
	w.log.Warn("the channel does not accept the alert; it is sent without names and texts of the record", "alert", it.alert.ID, "err", err)
	return true
}

// bare returns a without any text that a caller of AWS may have chosen.
func bare(a *processor.Alert) *processor.Alert {
	b := &processor.Alert{
		Schema: a.Schema, ID: a.ID, Exposure: a.Exposure, Step: a.Step, Severity: a.Severity, Reasons: a.Reasons, Time: a.Time, OpenedAt: a.OpenedAt,
		ResolvedAt: a.ResolvedAt, Resolution: a.Resolution, AccountName: a.AccountName, Root: a.Root, Protection: a.Protection, Escalation: a.Escalation,
		Attack: a.Attack, Test: a.Test,
	}
	if strings.Trim(a.Account, "0123456789") == "" {
		b.Account = a.Account
	}
	if a.User != nil {
		name := withheld
		b.User = &name
	}
	if a.Users != nil {
		b.Users = &exposure.AlertUsers{Count: a.Users.Count, Open: a.Users.Open}
	}
	b.Title = fmt.Sprintf("MFA alert (%s) in account %s: this channel refused its text", a.Step, b.Account)
	b.Advice = "Look at mfawatch for the user and the actor, alert " + a.ID + "."
	if a.Exposure != nil {
		b.Advice = "Look for the user and the actor with: mfawatch exposures show " + *a.Exposure
	}
	b.Summary = "Names and texts of the record are left out, since this channel refused them. " + b.Advice
	return b
}
