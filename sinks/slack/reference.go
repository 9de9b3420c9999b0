package slack

import (
	"cmp"
	"encoding/json"

	"github.com/mfawatch/mfawatch/sinks/message"
)

// A reference is where the message about an exposure is in one channel.
type reference struct {
	Channel string `json:"channel"` // its ID
	TS      string `json:"ts"`      // of the message, which is its ID
	Sent    string `json:"sent"`    // the ID of the alert that was sent last
	beginning
}

// A beginning is the message's first content. Each edit repeats it: the steps
// that follow know less of it.
type beginning struct {
	Title string         `json:"title,omitempty"`
	Facts []message.Fact `json:"facts,omitempty"`
	Links []message.Link `json:"links,omitempty"`
}

// references is the places by channel, as the configuration names them.
type references map[string]reference

// places reads a ref. One that cannot be read is as good as none.
func places(ref string) references {
	places := references{}
	if json.Unmarshal([]byte(cmp.Or(ref, "{}")), &places) != nil {
		return references{}
	}
	return places
}

func (p references) ref() string {
	if len(p) == 0 {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil { // strings have none
		return ""
	}
	return string(text)
}
