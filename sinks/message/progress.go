package message

import "encoding/json"

// A progress is the reference of a channel that tells each recipient by itself:
// what the channel said last, and of each alert that not all were told yet, who
// was. So no recipient gets an alert twice because another could not get it.
type progress struct {
	Said string   `json:"said,omitempty"` // of the last alert that all were told
	Open []partly `json:"open,omitempty"`
}

// partly holds the states of the recipients of an alert that not all of them got.
type partly struct {
	Alert string            `json:"alert"`
	To    map[string]string `json:"to"` // by recipient; those that nothing is known of are not there
}

// maxPartly bounds the alerts of one exposure that are remembered: one is being
// told, the others became dead letters, which a person may send again.
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
			for to, state := range o.To {
				known[to] = state
			}
		}
	}
	return known
}

// Note is the reference once this is known of the alert; nil: all were told, and
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
