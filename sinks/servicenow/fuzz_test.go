package servicenow

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func FuzzText(f *testing.F) { sinktest.FuzzTicketText(f, harmless, regexp.MustCompile(`(?i)\[/?code`)) }

func FuzzAnswers(f *testing.F) {
	read := func(body []byte) {
		var listed struct {
			Result []incident `json:"result"`
		}
		_ = json.Unmarshal(body, &listed)
	}
	sinktest.FuzzTicketAnswers(f, read, func(r httpsend.Reply, err error) (all []error) {
		for what := range opEvent + 1 {
			all = append(all, verdict(what, r, err, time.Now()))
		}
		return all
	})
}
