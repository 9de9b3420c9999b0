package sinktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// This file holds the channel that sinks/README.md adds, word for word.

func TestPageAddsThisChannel(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("teamsexample_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, steps, found := strings.Cut(string(page), "### 1. The folder")
	steps, _, ends := strings.Cut(steps, "### 4. The table of kinds")
	blocks := strings.Split(steps, "```go\n")[1:]
	if !found || !ends || len(blocks) != 3 {
		t.Fatalf("the page has %d pieces of code in steps 1 to 3, want 3", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(string(file), code) {
			t.Errorf("this code of the page is not in this file:\n%s", code)
		}
	}
}

// Config says where messages go.
type Config struct {
	URL             secret.URL `koanf:"url"` // the channel's webhook
	httpsend.Config `koanf:",squash"`
}

// Validate returns every mistake in c, joined, each of the form "field: problem".
func (c Config) Validate() error {
	var missing error
	if c.URL == "" {
		missing = fmt.Errorf("url: missing; want the channel's webhook, such as https://teams.example.net/hook/1")
	}
	return errors.Join(missing, c.Config.Validate())
}

// Sink posts messages to one channel.
type Sink struct {
	config  Config
	wording message.Wording
	http    *httpsend.Client
}

// New returns a sink that connects when it first sends. The caller closes it.
func New(c Config, w message.Wording) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	client, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, wording: w, http: client}, nil
}

// Close closes idle connections.
func (s *Sink) Close() error { return s.http.Close() }

// Send posts one message. The channel cannot change a message, so each step is
// a message of its own and needs no reference.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (string, error) {
	m := s.wording.Message(a)
	text := []string{m.Title, m.Summary, m.Advice}
	for _, list := range m.Lists {
		text = append(append(text, list.Name), list.Text()...)
	}
	body, err := json.Marshal(map[string]any{"text": strings.Join(text, "\n"), "alert": a})
	if err != nil {
		return ref, sinks.Permanent(err)
	}
	_, err = s.http.Send(ctx, httpsend.Request{
		URL:    string(s.config.URL),
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
	})
	return ref, err
}

// room is the channel's server: it keeps the messages that it accepted.
type room struct {
	alerts []*processor.Alert
	texts  []string
}

func (s *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Text  string
		Alert *processor.Alert
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Text == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.texts, s.alerts = append(s.texts, body.Text), append(s.alerts, body.Alert)
}

func TestTeamsExampleConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		People: true,
		HTTP:   true,
		Copies: "its webhook knows no key against duplicates",
		Start: func(t *testing.T) *sinktest.Server {
			room := new(room)
			server := sinktest.NewHTTPServer(t, room)
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{URL: secret.URL(server.URL + sinktest.HushPath)}, message.Wording{})
				},
				Holds: func(a *processor.Alert) sinktest.Held {
					held := sinktest.HeldRecords(room.alerts, a)
					for i, b := range room.alerts {
						if sinktest.HeldRecords([]*processor.Alert{b}, a).Cases == 1 {
							held.Texts = append(held.Texts, room.texts[i])
						}
					}
					return held
				},
				Inject:  server.Inject,
				Bodies:  server.Bodies,
				Secrets: []string{sinktest.HushPath},
			}
		},
	})
}
