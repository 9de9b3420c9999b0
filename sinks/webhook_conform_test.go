package sinks

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A hookReceiver is a server that takes alerts as records, each once: it knows
// a copy by its Idempotency-Key.
type hookReceiver struct {
	keys    map[string]bool
	records []*processor.Alert
}

func (s *hookReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a := new(processor.Alert)
	key := r.Header.Get("Idempotency-Key")
	if err := json.Unmarshal(body, a); err != nil || a.Schema != exposure.Schema || key == "" || key != a.ID {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !s.keys[key] {
		s.keys[key] = true
		s.records = append(s.records, a)
	}
}

func TestWebhookConforms(t *testing.T) {
	conforms(t, conformant{
		http: true,
		start: func(t *testing.T) *conformServer {
			receiver := &hookReceiver{keys: map[string]bool{}}
			server := newFaultyServer(t, receiver)
			return &conformServer{
				sink: func() (Sink, error) {
					return NewWebhook(WebhookConfig{
						URL: SecretURL(server.URL + hushPath + hushQuery), Secrets: []string{firstSecret}, Headers: Headers{"Authorization": hushValue},
					})
				},
				holds:   func(a *processor.Alert) held { return conformRecords(receiver.records, a) },
				inject:  server.inject,
				bodies:  server.bodies,
				secrets: []string{hushPath, "xyzzy%2Fquery-secret", "xyzzy/query-secret", hushValue, firstSecret, firstSecret[6:]},
			}
		},
	})
}
