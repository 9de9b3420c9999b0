package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// Templates are texts of the operator's own, instead of ours: Go templates
// (text/template) by the part of the message that they write. Each is given the
// fields of a Message, and the alert itself as .Alert. Its output is cut to the
// channel's limit, and escaped as the channel needs it.
type Templates map[string]string

// TemplateData is the input of a template.
type TemplateData struct {
	Message
	Alert *processor.Alert
}

// TemplateFuncs are the functions of a template besides those of text/template.
var TemplateFuncs = template.FuncMap{
	"upper": func(v any) string { return strings.ToUpper(fmt.Sprint(v)) },
	"lower": func(v any) string { return strings.ToLower(fmt.Sprint(v)) },
	"join":  strings.Join,
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
}

// Texts holds parsed templates, each tried on an alert.
type Texts map[string]*template.Template

// Parse takes templates for the known parts, and tries each on an alert. The
// errors are joined, each of the form "templates.part: problem".
func (t Templates) Parse(known ...string) (Texts, error) {
	parsed := make(Texts, len(t))
	var errs []error
	for _, part := range slices.Sorted(maps.Keys(t)) {
		if !slices.Contains(known, part) {
			errs = append(errs, fmt.Errorf("templates.%s: no such part; known are %s", safetext.Clean(part, 40), strings.Join(known, ", ")))
			continue
		}
		tmpl, err := template.New(part).Funcs(TemplateFuncs).Option("missingkey=error").Parse(t[part])
		if err == nil {
			parsed[part] = tmpl
			_, err = parsed.write(part, Wording{}.Message(SampleAlert()), SampleAlert(), 1<<20)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("templates.%s: %w", part, err))
		}
	}
	return parsed, errors.Join(errs...)
}

// write returns the output of the part's template, max bytes at most.
func (t Texts) write(part string, m Message, a *processor.Alert, max int) (string, error) {
	b := BoundedWriter{Left: max}
	if err := t[part].Execute(&b, TemplateData{m, a}); err != nil && !errors.Is(err, errBound) {
		return "", err
	}
	return b.Text.String(), nil
}

// Or returns the output of the part's template for the alert, max bytes at
// most; without a template, or if it fails, the text given: an alert is not
// lost for its looks.
func (t Texts) Or(text, part string, m Message, a *processor.Alert, max int) string {
	if t[part] == nil {
		return text
	}
	written, err := t.write(part, m, a, max)
	if err != nil || strings.TrimSpace(written) == "" {
		return text
	}
	return written
}

var errBound = errors.New("too long")

// BoundedWriter keeps the first Left bytes, and then fails.
type BoundedWriter struct {
	Text strings.Builder
	Left int
}

func (b *BoundedWriter) Write(p []byte) (int, error) {
	if len(p) > b.Left {
		n, _ := b.Text.Write(p[:b.Left])
		b.Left = 0
		return n, errBound
	}
	b.Left -= len(p)
	return b.Text.Write(p)
}

var _ io.Writer = (*BoundedWriter)(nil)

// SampleAlert returns an alert about an invented user, to try templates and channels with.
func SampleAlert() *processor.Alert {
	id, user, serial, no := "4d666177617463682074657374000000", "mfawatch-test", "arn:aws:iam::000000000000:mfa/mfawatch-test", false
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &processor.Alert{
		Schema: exposure.Schema, ID: id + "01", Exposure: &id,
		Step: exposure.Opened, Severity: exposure.High, Reasons: []string{exposure.ReasonOtherActor},
		Title:   "Test: MFA removed from mfawatch-test in 000000000000 by tester",
		Summary: "This is a test of mfawatch: nothing happened. Nothing needs to be done.",
		Advice:  "Nothing needs to be done.",
		Time:    at, OpenedAt: &at,
		Partition: "aws", Account: "000000000000", User: &user, Protection: exposure.ProtectionNone,
		Actor: exposure.AlertActor{Type: "IAMUser", ARN: "arn:aws:iam::000000000000:user/tester", Name: "tester", MFA: &no,
			AccessKeyID: "ASIAEXAMPLE", SourceIP: "198.51.100.7", UserAgent: "mfawatch"},
		Device: exposure.AlertDevice{Serial: &serial, Kind: "virtual"},
		Event:  exposure.AlertEvent{ID: "00000000-0000-4000-8000-000000000000", Name: "DeactivateMFADevice", Region: "us-east-1"},
		Attack: []string{"T1556.006"},
		Test:   true,
	}
}
