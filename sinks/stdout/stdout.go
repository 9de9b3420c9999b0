package stdout

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Config configures the standard output as a sink.
type Config struct {
	Format string `koanf:"format"` // json: one alert a line; text: for a person. Default json
}

// Validate reports a mistake in c in the form "field: problem".
func (c Config) Validate() error {
	if c.Format == "" || c.Format == "json" || c.Format == "text" {
		return nil
	}
	return fmt.Errorf("format: %q; want json or text", c.Format)
}

// A Sink prints alerts.
type Sink struct {
	// Color makes text coloured. Set it before the first Send, for a terminal.
	Color bool

	text  bool
	words message.Wording
	mu    sync.Mutex
	w     io.Writer
}

// New prints to w, with one write for each alert; format text is worded by words.
// Alerts keep the order of the journal when they are sent one at a time: see
// dispatch.DeliveryConfig.Concurrency.
func New(cfg Config, words message.Wording, w io.Writer) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Sink{text: cfg.Format == "text", words: words, w: w}, nil
}

// Send prints the alert. It has no use for a ref.
func (s *Sink) Send(_ context.Context, a *processor.Alert, _ string) (string, error) {
	out, err := s.Render(a)
	if err != nil {
		return "", sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
	}
	return "", s.print([]byte(out))
}

var _ sinks.GroupSender = (*Sink)(nil)

// Render returns the alert as it is printed.
func (s *Sink) Render(a *processor.Alert) (string, error) {
	if s.text {
		return s.render(a), nil
	}
	out, err := message.JSON(a)
	return string(out), err
}

// SendGroup prints the alerts as one text with a list, the worst severity in
// front, or as lines of JSON.
func (s *Sink) SendGroup(ctx context.Context, alerts []*processor.Alert) error {
	if !s.text {
		for _, a := range alerts {
			if _, err := s.Send(ctx, a, ""); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	worst := message.Worst(alerts)
	s.head(&b, worst.Severity, fmt.Sprintf("%d more alerts", len(alerts)))
	for _, a := range alerts {
		severity := safetext.Clean(string(a.Severity), severityWidth)
		lines := safetext.Wrap(safetext.Line(a.Title, maxTitle), textWidth-2*len(margin))
		b.WriteString(margin + s.paint(colors[a.Severity], severity) + margin[len(severity):] + strings.Join(lines, "\n"+margin+margin) + "\n")
		b.WriteString(margin + margin + s.paint(faint, s.subject(a)) + "\n")
	}
	return s.print([]byte(b.String()))
}

// print writes what belongs together.
func (s *Sink) print(out []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.w.Write(out); err != nil {
		return fmt.Errorf("print alert: %w", err)
	}
	return nil
}

// How the text is laid out: the severity, beside it the title, below that the
// rest. Text for a person is wrapped, the last line is for looking things up.
const (
	severityWidth = len("CRITICAL")
	textWidth     = 100
	maxTitle      = 200
	maxSummary    = 1000
	maxSubject    = 64
	timeLayout    = "2006-01-02 15:04:05Z"
)

var margin = strings.Repeat(" ", severityWidth+2)

// colors of the severities, and of secondary text.
var colors = map[exposure.Severity]string{
	exposure.Critical: "\x1b[1;97;41m",
	exposure.High:     "\x1b[1;31m",
	exposure.Medium:   "\x1b[33m",
	exposure.Low:      "\x1b[36m",
	exposure.Info:     "\x1b[32m",
}

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	plain = "\x1b[0m"
)

func (s *Sink) paint(color, text string) string {
	if !s.Color || color == "" {
		return text
	}
	return color + text + plain
}

// render is the alert for a person: nothing in it but printable text, whatever
// the record said.
func (s *Sink) render(a *processor.Alert) string {
	var b strings.Builder
	s.head(&b, a.Severity, a.Title)
	for _, line := range safetext.Wrap(safetext.Line(a.Summary, maxSummary), textWidth-len(margin)) {
		b.WriteString(margin + line + "\n")
	}
	for _, l := range s.words.Message(a).Lists {
		b.WriteString(margin + l.Name + ":\n")
		for _, item := range l.Text() {
			b.WriteString(margin + "  " + strings.Join(safetext.Wrap(item, textWidth-len(margin)-5), "\n"+margin+"     ") + "\n")
		}
	}
	b.WriteString(margin + s.paint(faint, s.subject(a)) + "\n")
	return b.String()
}

// head writes the severity, and the title beside it.
func (s *Sink) head(b *strings.Builder, v exposure.Severity, title string) {
	severity := strings.ToUpper(safetext.Clean(string(v), severityWidth))
	lines := safetext.Wrap(safetext.Line(title, maxTitle), textWidth-len(margin))
	b.WriteString(s.paint(colors[v], severity) + margin[len(severity):] + s.paint(bold, strings.Join(lines, "\n"+margin)) + "\n")
}

// subject says when it was, and which step of whose story.
func (s *Sink) subject(a *processor.Alert) string {
	user := "unknown user"
	switch {
	case a.Users != nil:
		user = strconv.Itoa(a.Users.Count) + " users"
	case a.Root:
		user = "root user"
	case a.User != nil:
		user = *a.User
	}
	at := a.Time.UTC().Format(timeLayout)
	if s.words.Zone != nil {
		at = s.words.Time(a.Time)
	}
	words := []string{at, string(a.Step), message.AlertAccount(a), user}
	if a.Exposure != nil {
		words = append(words, *a.Exposure)
	}
	for i, w := range words {
		words[i] = safetext.Line(w, maxSubject)
	}
	return strings.Join(words, "  ")
}
