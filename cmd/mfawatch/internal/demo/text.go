package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

const width = 100 // columns

// Introduction is a format of the number of records, and the address of the metrics.
const Introduction = `
mfawatch demo: an hour in AWS account 111122223333, in twelve seconds.
One second here is five minutes there.

A Kafka broker runs inside this process. %d CloudTrail records go to its topic cloudtrail, most of
them everyday noise. The ordinary pipeline reads them, follows what happens to MFA devices, and
alerts here and on the topic mfa-alerts. Metrics: http://%s/metrics
`

// Next is said at the end.
const Next = `Look through records of your own:   mfawatch scan PATH
Keep watch over them:               mfawatch run -c mfawatch.yaml
`

// Stay is said in its place where the demo goes on; a format of the address.
const Stay = `Open exposures are alerted again after 4 hours and after a day: 48 and 288 seconds here.
Metrics stay at http://%s/metrics until Ctrl-C.
`

// An Open is an exposure that is still open.
type Open struct {
	User     string
	Severity exposure.Severity
	Since    time.Time
}

// Tally sums up what came out on the alerts topic.
func Tally(records int, alerts []exposure.Alert, open []Open) string {
	severities, steps := make(map[exposure.Severity]int), make(map[exposure.Step]int)
	for _, a := range alerts {
		severities[a.Severity]++
		steps[a.Step]++
	}
	var bySeverity, byStep []string
	for _, s := range slices.Backward(exposure.Severities) {
		if n := severities[s]; n > 0 {
			bySeverity = append(bySeverity, fmt.Sprintf("%d %s", n, s))
		}
	}
	for _, s := range exposure.Steps {
		if n := steps[s]; n > 0 {
			byStep = append(byStep, fmt.Sprintf("%d %s", n, s))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nThe trail ends: %d records made %d alerts, and all are on topic %s too.\n",
		strings.Repeat("─", width), records, len(alerts), AlertsTopic)
	fmt.Fprintf(&b, "  %s\n  %s\n", strings.Join(bySeverity, ", "), strings.Join(byStep, ", "))
	for _, o := range open {
		user := "somebody unknown"
		if o.User != "" {
			user = safetext.Clean(o.User, 64)
		}
		fmt.Fprintf(&b, "  still without MFA: %s, %s, since %s\n", user, o.Severity, o.Since.UTC().Format("15:04:05Z"))
	}
	return b.String()
}

// Paragraphs writes each text with an empty line behind it, from any goroutine.
type Paragraphs struct {
	mu      sync.Mutex
	w       io.Writer
	colours bool
}

// NewParagraphs returns paragraphs that are written to w.
func NewParagraphs(w io.Writer, colours bool) *Paragraphs {
	return &Paragraphs{w: w, colours: colours}
}

// Heading writes a line as wide as the rest.
func (p *Paragraphs) Heading(text string) {
	text = "── " + text + " "
	text += strings.Repeat("─", max(0, width-utf8.RuneCountInString(text)))
	if p.colours {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintln(p, text)
}

// Write writes a text, and an empty line.
func (p *Paragraphs) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.w.Write(append(slices.Clip(text), '\n')); err != nil {
		return 0, err
	}
	return len(text), nil
}
