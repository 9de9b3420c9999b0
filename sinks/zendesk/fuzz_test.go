package zendesk

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func FuzzText(f *testing.F) { sinktest.FuzzTicketText(f, harmless, regexp.MustCompile(`\{[{%]`)) }

func FuzzAnswers(f *testing.F) {
	read := func(body []byte) {
		var listed struct {
			Tickets []issue `json:"tickets"`
		}
		_ = json.Unmarshal(body, &listed)
	}
	sinktest.FuzzTicketAnswers(f, read, func(r httpsend.Reply, err error) (all []error) {
		for what := range opSolve + 1 {
			all = append(all, verdict(what, r, err))
		}
		return all
	})
}
