package sinks

import (
	"cmp"
	"encoding/json"
)

// A slackPlace is where the message about an exposure is in one channel.
type slackPlace struct {
	Channel string `json:"channel"` // its ID
	TS      string `json:"ts"`      // of the message, which is its ID
	Told    string `json:"told"`    // the ID of the alert that was told last
	slackBegin
}

// A slackBegin is what the message told first. It is told again with each edit:
// the steps that follow know less of it.
type slackBegin struct {
	Title string `json:"title,omitempty"`
	Facts []Fact `json:"facts,omitempty"`
	Links []Link `json:"links,omitempty"`
}

// slackMap is the places by channel, as the configuration names them.
type slackMap map[string]slackPlace

// slackPlaces reads a ref. One that cannot be read is as good as none.
func slackPlaces(ref string) slackMap {
	places := slackMap{}
	if json.Unmarshal([]byte(cmp.Or(ref, "{}")), &places) != nil {
		return slackMap{}
	}
	return places
}

func (p slackMap) ref() string {
	if len(p) == 0 {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil { // strings have none
		return ""
	}
	return string(text)
}
