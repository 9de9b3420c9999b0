package slack

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
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Limits, in characters. Slack's own are 150 for a header and about 13,000 for
// all blocks of a message; ours keep it to what is read.
const (
	maxHeader = 150
	maxTitle  = 140 // leaves room for escapes and the sign in front
	maxText   = 900
	maxFacts  = 1500 // all of them
)

// eventType is the type of the metadata by which our messages are known.
const eventType = "mfa_exposure"

// A post is one message. Whatever of it a record may have chosen stands
// in plain text: in the header, and in the text elements of rich text, where no
// character means anything.
type post struct {
	text      string // of notifications, escaped
	blocks    []slack.Block
	details   slack.Attachment // which has the colour
	metadata  slack.SlackMetadata
	thread    string // ts of the message that it answers
	broadcast bool   // shown in the channel, too
	begin     beginning
}

// options are the message as the library takes it.
func (m post) options() []slack.MsgOption {
	options := []slack.MsgOption{
		slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...), slack.MsgOptionAttachments(m.details), slack.MsgOptionParse(false),
	}
	if m.metadata.EventType != "" {
		options = append(options, slack.MsgOptionMetadata(m.metadata))
	}
	return options
}

// A looks is the sign and the colour of how things stand.
type looks struct{ sign, color string }

var (
	green      = looks{"🟢", "#2eb67d"}
	red        = looks{"🔴", "#d0021b"}
	bySeverity = map[exposure.Severity]looks{
		exposure.Critical: red,
		exposure.High:     {"🟠", "#f2711c"},
		exposure.Medium:   {"🟡", "#ecb22e"},
		exposure.Low:      {"🔵", "#36a2eb"},
		exposure.Info:     {"⚪", "#9aa0a6"},
	}
)

func looksOf(a *processor.Alert) looks {
	switch {
	case a.Step == exposure.Resolved:
		return green
	case a.Step == exposure.Escalated, a.Step == exposure.Exploited, a.Step == exposure.Suspect:
		return red
	}
	if l, ok := bySeverity[a.Severity]; ok {
		return l
	}
	return bySeverity[exposure.High]
}

// message returns the message about the alert.
func (s *Sink) message(a *processor.Alert, possible bool) post {
	m := s.words.Message(a)
	out := s.compose(a, m, beginning{Facts: facts(m.Facts), Links: m.Links}, possible)
	out.begin.Title = safetext.CutRunes(m.Title, maxTitle)
	payload := map[string]any{"alert": a.ID}
	if a.Exposure != nil {
		payload["exposure"] = *a.Exposure
	}
	out.metadata = slack.SlackMetadata{EventType: eventType, EventPayload: payload}
	return out
}

// standing returns the message to which the one that began so is edited.
func (s *Sink) standing(a *processor.Alert, begin beginning) post {
	return s.compose(a, s.words.Message(a), begin, false)
}

// compose puts a message together: how things stand now, above what is known.
func (s *Sink) compose(a *processor.Alert, m message.Message, begin beginning, possible bool) post {
	looks := looksOf(a)
	title := safetext.CutRunes(strings.Join(strings.Fields(s.texts.Or(m.Title, "title", m, a, 4*maxHeader)), " "), maxTitle)
	title = cmp.Or(title, "MFA removed")
	out := post{text: escape(m.Short, maxText), begin: begin}
	out.blocks = []slack.Block{header(looks.sign + " " + title)}

	var text lines
	if possible {
		text.say("This may be here twice: nobody answered when it was sent before.", "")
		out.text += " (this may be here twice)"
	}
	if written := s.texts.Or("", "text", m, a, 4*maxText); written != "" {
		for line := range strings.Lines(cutLines(written)) {
			text.say("", strings.TrimSuffix(line, "\n"))
		}
	} else {
		text.say("", safetext.CutRunes(m.Summary, maxText))
		if m.Advice != "" {
			text.say("What to do", m.Advice)
		}
	}
	if len(text.elements) > 0 {
		out.blocks = append(out.blocks, text.block())
	}
	for _, l := range m.Lists {
		out.blocks = append(out.blocks, listBlock(l))
	}

	var details lines
	if begin.Title != "" && begin.Title != title {
		details.say("At first", begin.Title)
	}
	for _, f := range begin.Facts {
		details.say(f.Name, f.Value)
	}
	details.say("Severity", safetext.CutRunes(string(a.Severity), 20)+", "+safetext.CutRunes(string(a.Step), 20))
	details.link(begin.Links)
	out.details = details.attachment(looks, out.text)
	return out
}

// group is one message with a list of the alerts, the worst severity in front.
func (s *Sink) group(alerts []*processor.Alert, possible bool) post {
	worst := message.Worst(alerts)
	looks := looksOf(worst)
	title := fmt.Sprintf("%d more alerts, the worst %s", len(alerts), safetext.CutRunes(string(worst.Severity), 20))
	out := post{text: escape(title, maxText)}
	out.blocks = []slack.Block{header(looks.sign + " " + title)}
	var list lines
	if possible {
		list.say("This may be here twice: nobody answered when it was sent before.", "")
	}
	room := max(40, min(maxTitle, 9000/len(alerts)-20)) // characters for each
	for _, a := range alerts {
		list.say("", looksOf(a).sign+" "+safetext.CutRunes(s.words.Message(a).Title, room))
	}
	if s.words.Page != "" {
		list.link([]message.Link{{Text: "mfawatch", URL: s.words.Page + "/"}})
	}
	out.details = list.attachment(looks, out.text)
	return out
}

// header is a line in large letters. Entities are made of what would mean
// something in other places, in case this is one.
func header(text string) slack.Block {
	return slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, escape(text, maxHeader), false, false))
}

// lines are the elements of a section of rich text, in lines.
type lines struct {
	elements []slack.RichTextSectionElement
}

func (l *lines) block() slack.Block {
	return slack.NewRichTextBlock("", slack.NewRichTextSection(l.elements...))
}

func (l *lines) attachment(looks looks, fallback string) slack.Attachment {
	return slack.Attachment{Color: looks.color, Fallback: fallback, Blocks: slack.Blocks{BlockSet: []slack.Block{l.block()}}}
}

// say adds a line with a name in bold, or without.
func (l *lines) say(name, value string) {
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

// listBlock is a list under its name.
func listBlock(l message.List) slack.Block {
	style := slack.RTEListBullet
	if l.Ordered {
		style = slack.RTEListOrdered
	}
	var items []slack.RichTextElement
	room := maxText
	for i, item := range l.Items {
		item = safetext.CutRunes(item, max(room, 1))
		if room -= utf8.RuneCountInString(item); room <= 0 && i+1 < len(l.Items) {
			item = "… see mfawatch"
		}
		items = append(items, slack.NewRichTextSection(slack.NewRichTextSectionTextElement(item, nil)))
		if room <= 0 {
			break
		}
	}
	name := slack.NewRichTextSection(slack.NewRichTextSectionTextElement(l.Name, &slack.RichTextSectionTextStyle{Bold: true}))
	return slack.NewRichTextBlock("", name, slack.NewRichTextList(style, 0, items...))
}

// link adds a line of links.
func (l *lines) link(links []message.Link) {
	for i, to := range links {
		if i == 0 {
			l.end()
		} else {
			l.elements = append(l.elements, slack.NewRichTextSectionTextElement(" · ", nil))
		}
		l.elements = append(l.elements, slack.NewRichTextSectionLinkElement(to.URL, to.Text, nil))
	}
}

func (l *lines) end() {
	if len(l.elements) > 0 {
		l.elements = append(l.elements, slack.NewRichTextSectionTextElement("\n", nil))
	}
}

// facts are as many as there is room for.
func facts(facts []message.Fact) []message.Fact {
	room := maxFacts
	for i, f := range facts {
		if room -= utf8.RuneCountInString(f.Name) + utf8.RuneCountInString(f.Value); room < 0 {
			return append(slices.Clone(facts[:i]), message.Fact{Name: "More", Value: "… see mfawatch"})
		}
	}
	return facts
}

// cutLines cleans and cuts the text of a template, and keeps its lines.
func cutLines(text string) string {
	var lines []string
	room := maxText
	for line := range strings.Lines(text) {
		line = safetext.CutRunes(strings.TrimRight(line, "\r\n"), max(room, 1))
		lines = append(lines, line)
		if room -= utf8.RuneCountInString(line) + 1; room <= 0 {
			break
		}
	}
	return strings.Join(lines, "\n")
}

// escapes replaces the characters that have a meaning in Slack.
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape makes text mean nothing but itself, in a number of characters.
func escape(text string, max int) string {
	text = safetext.CutRunes(text, max)
	for {
		escaped := escapes.Replace(text)
		over := utf8.RuneCountInString(escaped) - max
		if over <= 0 {
			return escaped
		}
		text = safetext.CutRunes(text, utf8.RuneCountInString(text)-1-over/len("&amp;"))
	}
}

// Render returns the message about the alert.
func (s *Sink) Render(a *processor.Alert) (string, error) {
	m := s.message(a, false)
	text, err := json.MarshalIndent(struct {
		Text        string             `json:"text"`
		Blocks      []slack.Block      `json:"blocks"`
		Attachments []slack.Attachment `json:"attachments"`
	}{m.text, m.blocks, []slack.Attachment{m.details}}, "", "  ")
	return string(text), err
}
