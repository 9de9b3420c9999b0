package message

import (
	"encoding/json"
	"maps"
)

// A progress is the reference of a channel that sends to each recipient by itself:
// what the channel said last, and of each alert that not all got yet, who
// did. So no recipient gets an alert twice because another could not get it.
type progress struct {
	Said string   `json:"said,omitempty"` // of the last alert that all got
	Open []partly `json:"open,omitempty"`
}

// partly holds the states of the recipients of an alert that not all of them got.
type partly struct {
	Alert string            `json:"alert"`
	To    map[string]string `json:"to"` // by recipient; those that nothing is known of are not there
}

// maxPartly bounds the alerts of one exposure that are remembered: one is being
// sent, the others became dead letters, which a person may send again.
const maxPartly = 8

// ProgressOf reads a reference. One that cannot be read is as good as none.
func ProgressOf(ref string) (p progress) {
	_ = json.Unmarshal([]byte(ref), &p)
	return p
}

// Of returns the states of the alert's recipients, never nil and the caller's own.
func (p progress) Of(alert string) map[string]string {
	known := map[string]string{}
	for _, o := range p.Open {
		if o.Alert == alert {
			maps.Copy(known, o.To)
		}
	}
	return known
}

// Note is the reference once this is known of the alert; nil: all got it, and
// the channel said so.
func (p progress) Note(alert string, to map[string]string, said string) string {
	next := progress{Said: p.Said}
	for _, o := range p.Open {
		if o.Alert != alert {
			next.Open = append(next.Open, o)
		}
	}
	if to == nil {
		next.Said = said
	} else if len(to) > 0 {
		next.Open = append(next.Open, partly{alert, to})
	}
	if over := len(next.Open) - maxPartly; over > 0 {
		next.Open = next.Open[over:]
	}
	if next.Said == "" && next.Open == nil {
		return ""
	}
	text, err := json.Marshal(next)
	if err != nil {
		return "" // of texts alone: never
	}
	return string(text)
}
