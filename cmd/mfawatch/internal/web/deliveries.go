package web

import (
	"fmt"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// DeliveryText returns in words what became of an alert at a sink, with times in the
// locale and without the sink's name. The channel's and the routes' own texts in it
// are as the journal keeps them: bounded, and to be escaped.
func DeliveryText(d outbox.Delivery, l output.Locale) string {
	at := ""
	if d.Time != nil {
		at = " at " + l.Time(*d.Time)
	}
	switch d.State {
	case outbox.StateDelivered:
		return joined("delivered"+at+attempts(", attempt %d", d.Attempts), d.Reference)
	case outbox.StatePending:
		return joined("pending"+attempts(" after %d attempts", d.Attempts), d.Why)
	case outbox.StateHeld:
		until := ""
		if d.Until != nil {
			until = " until " + l.Time(*d.Until)
		}
		return joined("held"+until, d.Why)
	case outbox.StateDeadLetter:
		return joined("dead letter"+at+attempts(" after %d attempts", d.Attempts), d.Why)
	}
	return joined(strings.ReplaceAll(d.State, "_", " ")+at, d.Why)
}

// attempts returns a phrase on attempts, "" where there was one or none.
func attempts(phrase string, n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(phrase, n)
}

func joined(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}
