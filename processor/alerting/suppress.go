package alerting

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// plannedAlert renders the planned change if the reasons say that it applies.
func plannedAlert(e *exposure.PlannedChange, r exposure.Reasons) *exposure.AlertPlannedChange {
	if e == nil || r&(exposure.HasExpected|exposure.HasOverdue) == 0 {
		return nil
	}
	return &exposure.AlertPlannedChange{Entry: e.ID(), Ticket: e.Ticket, Approver: e.Approver, Until: e.Until.UTC()}
}

// suppress decides, before x is alerted, whether a planned change or a campaign
// stands in for alerts to people. People who were notified of an exposure are
// notified to its end. An exposure that only machine sinks know ends with them,
// unless it is open and no longer suppressed: then people get another opened
// alert.
func (t *notifier) suppress(x *exposure.Exposure, sent *delivered) {
	fresh := !sent.Opened && !sent.Reduced && !sent.Exploited && !sent.Closed
	due := x.PlannedReason() != 0 && x.Open() && x.Planned().Over(t.now)
	t.reopened, t.extra, t.skipEscalation = "", 0, false
	campaign := ""
	if x.Campaign != nil {
		campaign = x.Campaign.ID
	}
	switch {
	case x.ExploitedOrChanged():
		sent.Planned, sent.ByCampaign = "", false
	case !fresh && !x.Open():
		if campaign == "" {
			return
		}
	case fresh && due:
		t.extra = exposure.HasOverdue
	case fresh:
		if x.PlannedReason() != 0 {
			sent.Planned = x.Planned().ID()
		}
		sent.ByCampaign = campaign != ""
	case sent.Planned != "" && due:
		t.extra, t.reopened = exposure.HasOverdue, "It was announced, and is still open now that that time is over. "
	case sent.Planned != "" && x.PlannedReason() == 0:
		t.reopened = "What had announced it is no longer there, or does not announce all of it. "
	case sent.ByCampaign && campaign == "":
		t.reopened = "It was reported as part of a campaign, and is known now to be none. "
	}
	if sent.Planned != "" && x.PlannedReason() != 0 { // another entry, or the same one changed
		sent.Planned = x.Planned().ID()
	}
	sent.Campaign = campaign
	if t.reopened != "" {
		sent.Planned, sent.ByCampaign = "", false
		if sent.Opened {
			sent.Round++
			sent.Opened, t.skipEscalation = false, true
		}
	}
	if sent.Planned != "" && x.Open() {
		t.wakeAt(x.Planned().OverAt())
		t.wakeAt(t.now.Add(plannedRecheck))
	}
}

// plannedRecheck is after which time a planned change may have been withdrawn.
const plannedRecheck = 5 * time.Minute
