package message

import (
	"fmt"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// List is one list of detail. It is never empty.
type List struct {
	Name    string
	Ordered bool // its items are to be done in this order
	Items   []string
}

// Bounds of a list: its items, and the bytes of each.
const (
	maxItems = 20
	maxItem  = 300
)

// lists returns what to check, and what an intruder may have left behind.
func (w Wording) lists(a *processor.Alert) []List {
	var left []string
	for _, l := range a.LeftBehind {
		text := strings.TrimSpace(strings.ReplaceAll(l.Kind, "_", " ") + " " + l.ID)
		left = append(left, text+", given "+w.Time(l.Time))
	}
	var lists []List
	add := func(name string, ordered bool, items []string) {
		more := len(items) - maxItems
		items = items[:min(len(items), maxItems)]
		l := List{Name: name, Ordered: ordered}
		for _, text := range items {
			if text = safetext.Line(text, maxItem); text != "" {
				l.Items = append(l.Items, text)
			}
		}
		if more > 0 {
			l.Items = append(l.Items, fmt.Sprintf("and %d more", more))
		}
		if l.Items != nil {
			lists = append(lists, l)
		}
	}
	add("Check in this order", true, a.Checks)
	add("Still in place", false, left)
	return lists
}

// Text returns the items as lines, numbered where they are ordered.
func (l List) Text() []string {
	lines := make([]string, len(l.Items))
	for i, item := range l.Items {
		lines[i] = "- " + item
		if l.Ordered {
			lines[i] = fmt.Sprintf("%d. %s", i+1, item)
		}
	}
	return lines
}

// reasonWords are the reasons in words.
var reasonWords = map[string]string{
	exposure.ReasonRoot:            "the root user",
	exposure.ReasonPrivileged:      "a privileged user",
	exposure.ReasonOtherActor:      "done by another identity than the user",
	exposure.ReasonAssumedRoot:     "in an AssumeRoot session",
	exposure.ReasonNoMFASession:    "in a session without MFA",
	exposure.ReasonMFAUnknown:      "the record does not say if the session had MFA",
	exposure.ReasonLongTermKey:     "with a long-term access key",
	exposure.ReasonLastDevice:      "the only device known",
	exposure.ReasonOtherDevice:     "another device is active",
	exposure.ReasonExploited:       "a sign-in without MFA",
	exposure.ReasonChanged:         "credentials or rights changed meanwhile",
	exposure.ReasonLate:            "alerted late",
	exposure.ReasonOffboarding:     "an off-boarding",
	exposure.ReasonCampaign:        "several users hit by one actor",
	exposure.ReasonExpected:        "a planned change",
	exposure.ReasonUnknownTarget:   "the record does not name the user",
	exposure.ReasonOverdue:         "a planned change that is overdue",
	exposure.ReasonForeignDevice:   "another identity than the user enabled the device, or may have",
	exposure.ReasonLeftBehind:      "credentials or rights given meanwhile still stand",
	exposure.ReasonFamiliarAddress: "the address is known for the user",
	exposure.ReasonRemovalNotSeen:  "no record shows the removal",
	exposure.ReasonGuessing:        "many failed codes or sign-ins",
	exposure.ReasonPrelude:         "credentials or rights changed shortly before",
}

// reasons returns the reasons of the alert in words.
func reasons(a *processor.Alert) []string {
	var words []string
	for _, r := range a.Reasons {
		text := reasonWords[r]
		switch {
		case r == exposure.ReasonMFAUnknown && signIn(a) != "": // it is about the removal, not this sign-in
			continue
		case text == "":
			text = safetext.Clean(strings.ReplaceAll(r, "_", " "), MaxFact)
		}
		words = append(words, text)
	}
	return words
}
