package webhook

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A receiver is a server that takes alerts as records, each once: it knows
// a copy by its Idempotency-Key.
type receiver struct {
	keys    map[string]bool
	records []*processor.Alert
}

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

func TestConforms(t *testing.T) {
	sinktest.Run(t, sinktest.Channel{
		HTTP: true,
		Start: func(t *testing.T) *sinktest.Server {
			receiver := &receiver{keys: map[string]bool{}}
			server := sinktest.NewHTTPServer(t, receiver)
			return &sinktest.Server{
				Sink: func() (sinks.Sink, error) {
					return New(Config{
						URL: secret.URL(server.URL + sinktest.HushPath + sinktest.HushQuery), Secrets: []string{firstSecret}, Headers: Headers{"Authorization": sinktest.HushValue},
					})
				},
				Holds:   func(a *processor.Alert) sinktest.Held { return sinktest.HeldRecords(receiver.records, a) },
				Inject:  server.Inject,
				Bodies:  server.Bodies,
				Secrets: []string{sinktest.HushPath, "xyzzy%2Fquery-secret", "xyzzy/query-secret", sinktest.HushValue, firstSecret, firstSecret[6:]},
			}
		},
	})
}
