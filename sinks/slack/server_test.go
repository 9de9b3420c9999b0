package slack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A server behaves as the Web API of Slack and as its incoming webhooks do,
// after their documentation: what they require and refuse, the limits of blocks,
// edits and threads, and that an answer to a message that was deleted stands by
// itself.
type server struct {
	token   string
	channel string // its ID
	name    string
	history bool // the app may read the channel

	mu       sync.Mutex
	messages []*stored
	next     int
	refuse   map[string][]string // errors to answer with, by method
}

// A stored is a message in the channel.
type stored struct {
	TS       string            `json:"ts"`
	Thread   string            `json:"thread_ts,omitempty"`
	Text     string            `json:"text"`
	Metadata map[string]any    `json:"metadata,omitempty"`
	Blocks   []json.RawMessage `json:"blocks"`

	loud, edited bool
	color        string
	shown        []string
	raw          string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/services/") {
		if problem := s.hook(body); problem != "" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, problem)
			return
		}
		_, _ = io.WriteString(w, "ok")
		return
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/")
	form, err := url.ParseQuery(string(body))
	if !ok || err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer := s.call(method, form, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(answer)
}

func refusing(code string) map[string]any { return map[string]any{"ok": false, "error": code} }

// call answers a method.
func (s *server) call(method string, form url.Values, bearer string) map[string]any {
	token := form.Get("token")
	if token == "" {
		token = bearer
	}
	switch {
	case token == "":
		return refusing("not_authed")
	case token != s.token:
		return refusing("invalid_auth")
	}
	if codes := s.refuse[method]; len(codes) > 0 {
		s.refuse[method] = codes[1:]
		if codes[0] != "" {
			return refusing(codes[0])
		}
	}
	byID := form.Get("channel") == s.channel
	if !byID && (strings.TrimPrefix(form.Get("channel"), "#") != s.name || method != "chat.postMessage") {
		return refusing("channel_not_found")
	}
	switch method {
	case "chat.postMessage":
		m := &stored{raw: form.Encode(), loud: form.Get("reply_broadcast") == "true"}
		if problem := m.fill(form); problem != "" {
			return refusing(problem)
		}
		if parent := s.find(form.Get("thread_ts")); parent != nil {
			if parent.Thread != "" {
				return refusing("cannot_reply_to_message")
			}
			m.Thread = parent.TS
		}
		if meta := form.Get("metadata"); meta != "" {
			if json.Unmarshal([]byte(meta), &m.Metadata) != nil {
				return refusing("invalid_metadata_format")
			}
		}
		s.next++
		m.TS = fmt.Sprintf("1777622591.%06d", s.next)
		s.messages = append(s.messages, m)
		return map[string]any{"ok": true, "channel": s.channel, "ts": m.TS, "message": m}
	case "chat.update":
		m := s.find(form.Get("ts"))
		if m == nil {
			return refusing("message_not_found")
		}
		if form.Get("parse") != "none" { // the default of this method is client, which finds links and names
			return refusing("invalid_arguments")
		}
		if problem := m.fill(form); problem != "" {
			return refusing(problem)
		}
		m.edited = true
		return map[string]any{"ok": true, "channel": s.channel, "ts": m.TS, "text": m.Text}
	case "conversations.history", "conversations.replies":
		if !s.history {
			return map[string]any{"ok": false, "error": "missing_scope", "needed": "channels:history"}
		}
		thread := form.Get("ts")
		found := []*stored{}
		for _, m := range slices.Backward(s.messages) {
			if method == "conversations.history" && (m.Thread == "" || m.loud) || thread != "" && (m.TS == thread || m.Thread == thread) {
				seen := *m
				if form.Get("include_all_metadata") != "1" && form.Get("include_all_metadata") != "true" {
					seen.Metadata = nil
				}
				found = append(found, &seen)
			}
		}
		return map[string]any{"ok": true, "messages": found, "has_more": false}
	}
	return refusing("unknown_method")
}

func (s *server) find(ts string) *stored {
	for _, m := range s.messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

// hook takes a message of a webhook, or says what is wrong with it.
func (s *server) hook(body []byte) string {
	var in struct {
		Text        string          `json:"text"`
		Blocks      json.RawMessage `json:"blocks"`
		Attachments json.RawMessage `json:"attachments"`
	}
	if json.Unmarshal(body, &in) != nil {
		return "invalid_payload"
	}
	m := &stored{raw: string(body)}
	if problem := m.fill(url.Values{"text": {in.Text}, "blocks": {string(in.Blocks)}, "attachments": {string(in.Attachments)}}); problem != "" {
		return problem
	}
	s.messages = append(s.messages, m)
	return ""
}

// fill takes the contents of a message, or says which limit they break.
func (m *stored) fill(form url.Values) string {
	text := form.Get("text")
	if utf8.RuneCountInString(text) > 40_000 {
		return "msg_too_long"
	}
	var blocks []json.RawMessage
	var attachments []struct {
		Color    string            `json:"color"`
		Fallback string            `json:"fallback"`
		Blocks   []json.RawMessage `json:"blocks"`
	}
	if json.Unmarshal([]byte(form.Get("blocks")), &blocks) != nil || json.Unmarshal([]byte(form.Get("attachments")), &attachments) != nil {
		return "invalid_blocks_format"
	}
	if text == "" && len(blocks) == 0 {
		return "no_text"
	}
	shown, color := []string{text}, ""
	all := slices.Clone(blocks)
	for _, a := range attachments {
		all = append(all, a.Blocks...)
		shown, color = append(shown, a.Fallback), a.Color
	}
	size := 0
	for _, b := range all {
		size += len(b)
		texts, ok := shownIn(b)
		if !ok {
			return "invalid_blocks"
		}
		shown = append(shown, texts...)
	}
	switch {
	case len(all) > 50:
		return "invalid_blocks"
	case size > 13_000+10_000: // of the text alone, which is less than the JSON around it
		return "msg_blocks_too_long"
	}
	for _, t := range shown[:1+len(attachments)] {
		if strings.ContainsAny(t, "<>") { // where it means something; the real one would do as it says
			return "mention_of_an_attacker"
		}
	}
	characters := 0
	for _, t := range shown {
		characters += utf8.RuneCountInString(t)
	}
	if characters > 13_000 {
		return "msg_blocks_too_long"
	}
	m.Text, m.Blocks, m.color, m.shown = text, blocks, color, shown
	return ""
}

// shownIn is the text of a block, if it is one that keeps its limits.
func shownIn(raw json.RawMessage) (shown []string, ok bool) {
	var b struct {
		Type string `json:"type"`
		Text struct {
			Type  string `json:"type"`
			Text  string `json:"text"`
			Emoji *bool  `json:"emoji"`
		} `json:"text"`
		Elements []richElement `json:"elements"`
	}
	if json.Unmarshal(raw, &b) != nil {
		return nil, false
	}
	switch b.Type {
	case "header":
		n := utf8.RuneCountInString(b.Text.Text)
		return []string{b.Text.Text}, b.Text.Type == "plain_text" && n > 0 && n <= 150 && !strings.ContainsAny(b.Text.Text, "<>")
	case "rich_text":
		for _, e := range b.Elements {
			text, ok := e.shown()
			if !ok {
				return nil, false
			}
			shown = append(shown, text...)
		}
		return shown, len(shown) > 0
	}
	return nil, false
}

// A richElement is one of rich text: a section, a list of them, or a text.
type richElement struct {
	Type     string        `json:"type"`
	Style    any           `json:"style"`
	Text     string        `json:"text"`
	URL      string        `json:"url"`
	Elements []richElement `json:"elements"`
}

// shown is the text of a section or a list, if it keeps the rules.
func (e richElement) shown() (shown []string, ok bool) {
	line := ""
	for _, part := range e.Elements {
		u, err := url.Parse(part.URL)
		switch {
		case e.Type == "rich_text_list" && (e.Style == "ordered" || e.Style == "bullet") && part.Type == "rich_text_section":
			items, ok := part.shown()
			if !ok {
				return nil, false
			}
			shown = append(shown, items...)
			continue
		case e.Type != "rich_text_section", part.Text == "", part.Type != "text" && part.Type != "link",
			part.Type == "link" && (err != nil || u.Host == "" || len(part.URL) > 3000):
			return nil, false
		}
		line += part.Text
	}
	if line != "" {
		shown = append(shown, line)
	}
	return shown, len(shown) > 0
}

// remove deletes a message, as a person may.
func (s *server) remove(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m *stored) bool { return m.TS == ts })
}

// list is the messages as they stand.
func (s *server) list() (all []stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		all = append(all, *m)
	}
	return all
}

// holds returns the channel's view of the alert's exposure.
func (s *server) holds(a *processor.Alert, hooked bool) (h sinktest.Held) {
	name := a.Title
	if a.Exposure != nil {
		name = *a.Exposure
	}
	threads := map[string]bool{}
	for _, m := range s.list() {
		of := strings.Contains(m.raw, name) || strings.Contains(m.raw, url.QueryEscape(name))
		if m.Thread == "" && !of || m.Thread != "" && !threads[m.Thread] {
			continue
		}
		h.Notes++
		h.Texts = append(h.Texts, m.shown...)
		if hooked {
			h.Cases = 1
		} else if m.Thread == "" {
			threads[m.TS] = true
			h.Cases++
		}
		if m.Thread == "" {
			switch {
			case m.color == green.color:
				h.State = "resolved"
			case m.color == red.color:
				h.State = "escalated"
			default:
				h.State = "open"
			}
		}
	}
	return h
}
