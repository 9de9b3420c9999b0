package sinks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Limits, in characters. Slack's own are 150 for a header and about 13,000 for
// all blocks of a message; ours keep it to what is read.
const (
	maxSlackHeader = 150
	maxSlackTitle  = 140 // with room for what is escaped, and the sign in front
	maxSlackText   = 900
	maxSlackFacts  = 1500 // all of them
)

// slackEvent is the type of the metadata by which our messages are known.
const slackEvent = "mfa_exposure"

// A slackMessage is one message. Whatever of it a record may have chosen stands
// in plain text: in the header, and in the text elements of rich text, where no
// character means anything.
type slackMessage struct {
	text      string // of notifications, escaped
	blocks    []slack.Block
	details   slack.Attachment // which has the colour
	metadata  slack.SlackMetadata
	thread    string // ts of the message that it answers
	broadcast bool   // shown in the channel, too
	begin     slackBegin
}

// options are the message as the library takes it.
func (m slackMessage) options() []slack.MsgOption {
	options := []slack.MsgOption{
		slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...), slack.MsgOptionAttachments(m.details), slack.MsgOptionParse(false),
	}
	if m.metadata.EventType != "" {
		options = append(options, slack.MsgOptionMetadata(m.metadata))
	}
	return options
}

// A slackLooks is the sign and the colour of how things stand.
type slackLooks struct{ sign, color string }

var (
	slackGreen      = slackLooks{"🟢", "#2eb67d"}
	slackRed        = slackLooks{"🔴", "#d0021b"}
	slackBySeverity = map[exposure.Severity]slackLooks{
		exposure.Critical: slackRed,
		exposure.High:     {"🟠", "#f2711c"},
		exposure.Medium:   {"🟡", "#ecb22e"},
		exposure.Low:      {"🔵", "#36a2eb"},
		exposure.Info:     {"⚪", "#9aa0a6"},
	}
)

func slackLooksOf(a *processor.Alert) slackLooks {
	switch {
	case a.Step == exposure.Resolved:
		return slackGreen
	case a.Step == exposure.Escalated, a.Step == exposure.Exploited:
		return slackRed
	}
	if l, ok := slackBySeverity[a.Severity]; ok {
		return l
	}
	return slackBySeverity[exposure.High]
}

// message is what is posted of the alert.
func (s *Slack) message(a *processor.Alert, possible bool) slackMessage {
	m := s.words.Message(a)
	out := s.compose(a, m, slackBegin{Facts: slackFacts(m.Facts), Links: m.Links}, possible)
	out.begin.Title = cutRunes(m.Title, maxSlackTitle)
	payload := map[string]any{"alert": a.ID}
	if a.Exposure != nil {
		payload["exposure"] = *a.Exposure
	}
	out.metadata = slack.SlackMetadata{EventType: slackEvent, EventPayload: payload}
	return out
}

// standing is what the message that began so is edited to.
func (s *Slack) standing(a *processor.Alert, begin slackBegin) slackMessage {
	return s.compose(a, s.words.Message(a), begin, false)
}

// compose puts a message together: how things stand now, above what is known.
func (s *Slack) compose(a *processor.Alert, m Message, begin slackBegin, possible bool) slackMessage {
	looks := slackLooksOf(a)
	title := cutRunes(strings.Join(strings.Fields(s.texts.or(m.Title, "title", m, a, 4*maxSlackHeader)), " "), maxSlackTitle)
	title = cmp.Or(title, "MFA removed")
	out := slackMessage{text: slackEscape(m.Short, maxSlackText), begin: begin}
	out.blocks = []slack.Block{slackHeader(looks.sign + " " + title)}

	var text slackLines
	if possible {
		text.say("This may be here twice: nobody answered when it was sent before.", "")
		out.text += " (this may be here twice)"
	}
	if written := s.texts.or("", "text", m, a, 4*maxSlackText); written != "" {
		for line := range strings.Lines(slackCutLines(written)) {
			text.say("", strings.TrimSuffix(line, "\n"))
		}
	} else {
		text.say("", cutRunes(m.Summary, maxSlackText))
		text.say("What to do", m.Advice)
	}
	if len(text.elements) > 0 {
		out.blocks = append(out.blocks, slack.NewRichTextBlock("", slack.NewRichTextSection(text.elements...)))
	}

	var details slackLines
	if begin.Title != "" && begin.Title != title {
		details.say("First told", begin.Title)
	}
	for _, f := range begin.Facts {
		details.say(f.Name, f.Value)
	}
	details.say("Severity", cutRunes(string(a.Severity), 20)+", "+cutRunes(string(a.Step), 20))
	details.link(begin.Links)
	out.details = slack.Attachment{
		Color: looks.color, Fallback: out.text,
		Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewRichTextBlock("", slack.NewRichTextSection(details.elements...))}},
	}
	return out
}

// group is one message with a list of the alerts, the worst severity in front.
func (s *Slack) group(alerts []*processor.Alert, possible bool) slackMessage {
	worst := slices.MaxFunc(alerts, func(a, b *processor.Alert) int {
		return cmp.Compare(slices.Index(exposure.Severities, a.Severity), slices.Index(exposure.Severities, b.Severity))
	})
	looks := slackLooksOf(worst)
	title := fmt.Sprintf("%d more alerts, the worst %s", len(alerts), cutRunes(string(worst.Severity), 20))
	out := slackMessage{text: slackEscape(title, maxSlackText)}
	out.blocks = []slack.Block{slackHeader(looks.sign + " " + title)}
	var list slackLines
	if possible {
		list.say("This may be here twice: nobody answered when it was sent before.", "")
	}
	room := max(40, min(maxSlackTitle, 9000/len(alerts)-20)) // characters for each
	for _, a := range alerts {
		list.say("", slackLooksOf(a).sign+" "+cutRunes(s.words.Message(a).Title, room))
	}
	if s.words.Page != "" {
		list.link([]Link{{"mfawatch", s.words.Page + "/"}})
	}
	out.details = slack.Attachment{
		Color: looks.color, Fallback: out.text,
		Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewRichTextBlock("", slack.NewRichTextSection(list.elements...))}},
	}
	return out
}

// slackHeader is a line in large letters. Entities are made of what would mean
// something in other places, in case this is one.
func slackHeader(text string) slack.Block {
	return slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, slackEscape(text, maxSlackHeader), false, false))
}

// slackLines are the elements of a section of rich text, in lines.
type slackLines struct {
	elements []slack.RichTextSectionElement
}

// say adds a line with a name in bold, or without.
func (l *slackLines) say(name, value string) {
	if name == "" && value == "" {
		return
	}
	l.end()
	if name != "" {
		l.elements = append(l.elements, slack.NewRichTextSectionTextElement(name, &slack.RichTextSectionTextStyle{Bold: true}))
		if value != "" {
			value = ": " + value
		}
	}
	if value != "" {
		l.elements = append(l.elements, slack.NewRichTextSectionTextElement(value, nil))
	}
}

// link adds a line of links.
func (l *slackLines) link(links []Link) {
	for i, to := range links {
		if i == 0 {
			l.end()
		} else {
			l.elements = append(l.elements, slack.NewRichTextSectionTextElement(" · ", nil))
		}
		l.elements = append(l.elements, slack.NewRichTextSectionLinkElement(to.URL, to.Text, nil))
	}
}

func (l *slackLines) end() {
	if len(l.elements) > 0 {
		l.elements = append(l.elements, slack.NewRichTextSectionTextElement("\n", nil))
	}
}

// slackFacts are as many as there is room for.
func slackFacts(facts []Fact) []Fact {
	room := maxSlackFacts
	for i, f := range facts {
		if room -= utf8.RuneCountInString(f.Name) + utf8.RuneCountInString(f.Value); room < 0 {
			return append(slices.Clone(facts[:i]), Fact{"More", "… see mfawatch"})
		}
	}
	return facts
}

// slackCutLines cleans and cuts what a template wrote, but for its lines.
func slackCutLines(text string) string {
	var lines []string
	room := maxSlackText
	for line := range strings.Lines(text) {
		line = cutRunes(strings.TrimRight(line, "\r\n"), max(room, 1))
		lines = append(lines, line)
		if room -= utf8.RuneCountInString(line) + 1; room <= 0 {
			break
		}
	}
	return strings.Join(lines, "\n")
}

// slackEscapes are what shows the characters that mean something to Slack.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackEscape makes text mean nothing but itself, in a number of characters.
func slackEscape(text string, max int) string {
	text = cutRunes(text, max)
	for {
		escaped := slackEscapes.Replace(text)
		over := utf8.RuneCountInString(escaped) - max
		if over <= 0 {
			return escaped
		}
		text = cutRunes(text, utf8.RuneCountInString(text)-1-over/len("&amp;"))
	}
}

// Render is the message that would be posted of the alert.
func (s *Slack) Render(a *processor.Alert) (string, error) {
	m := s.message(a, false)
	text, err := json.MarshalIndent(struct {
		Text        string             `json:"text"`
		Blocks      []slack.Block      `json:"blocks"`
		Attachments []slack.Attachment `json:"attachments"`
	}{m.text, m.blocks, []slack.Attachment{m.details}}, "", "  ")
	return string(text), err
}
