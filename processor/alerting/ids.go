package alerting

import (
	"strconv"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// campaignID derives a campaign's ID from its first deactivation.
func campaignID(first *trail.Event) string {
	return exposure.ID("campaign", first.Partition, first.Account, first.ID)
}

// deadlineID derives the ID of an escalation delay that passed.
func deadlineID(of string, number int) string {
	return exposure.ID("deadline", of, strconv.Itoa(number))
}

// stepID derives a step's ID from its cause. The round is 0, unless the
// exposure was alerted as resolved and turned out to be open: then it is the
// number of times.
func stepID(of string, s exposure.Step, cause string, round int) string {
	if round == 0 {
		return exposure.ID("step", of, string(s), cause)
	}
	return exposure.ID("step", of, string(s), cause, strconv.Itoa(round))
}
