package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

const killSecret = "whsec_a2lsbC10ZXN0LXNpZ25pbmctc2VjcmV0LTEyMw=="

// A killHook is a receiver that keeps all it gets.
type killHook struct {
	t       *testing.T
	server  *httptest.Server
	arrived chan struct{} // there is something new

	mu     sync.Mutex
	random *rand.Rand
	got    map[string]*delivered // by ID
	runs   map[int]int           // alerts by run
}

// A delivered is an alert that arrived, once or more.
type delivered struct {
	alert    processor.Alert
	text     string
	body     []byte
	arrivals []killArrival
}

type killArrival struct {
	run int
	at  time.Time
}

func newKillHook(t *testing.T, seed uint64) *killHook {
	h := &killHook{t: t, arrived: make(chan struct{}, 1), random: rand.New(rand.NewPCG(seed, 3)),
		got: make(map[string]*delivered), runs: make(map[int]int)}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

func (h *killHook) url(run int) string { return fmt.Sprintf("%s/?run=%d", h.server.URL, run) }

// ServeHTTP takes an alert, and answers a little later. Now and then it is not
// to be had.
func (h *killHook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it was killed while it sent
	}
	at := time.Now()
	var run int
	if _, err := fmt.Sscan(r.URL.Query().Get("run"), &run); err != nil {
		h.t.Errorf("%s: %v", r.URL, err)
	}
	var a processor.Alert
	if err := json.Unmarshal(body, &a); err != nil || a.ID == "" || a.ID != r.Header.Get("webhook-id") || a.ID != r.Header.Get("Idempotency-Key") {
		h.t.Errorf("%v: webhook-id %q, %s", err, r.Header.Get("webhook-id"), body)
	}
	h.mu.Lock()
	refused := h.random.IntN(50) == 0
	wait := time.Duration(h.random.Int64N(int64(10 * time.Millisecond)))
	if !refused {
		h.note(&a, body, killArrival{run, at})
	}
	h.mu.Unlock()
	if refused {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

func (h *killHook) note(a *processor.Alert, body []byte, now killArrival) {
	h.runs[now.run]++
	seen := h.got[a.ID]
	if seen == nil {
		seen = &delivered{alert: *a, text: fmt.Sprintf("%s %s %s, %s, event %s", a.ID, a.Account, a.Title, a.Step, a.Event.ID), body: body}
		h.got[a.ID] = seen
	}
	if !bytes.Equal(body, seen.body) {
		h.t.Errorf("sent with other bytes than before:\n%s\n%s", seen.body, body)
	}
	seen.arrivals = append(seen.arrivals, now)
}

// count is how many alerts arrived of a run.
func (h *killHook) count(run int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs[run]
}

func (h *killHook) distinct() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

// missing returns the alerts of must that did not arrive.
func (h *killHook) missing(must map[string]string) (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, text := range must {
		if h.got[id] == nil {
			texts = append(texts, text)
		}
	}
	return sortedTexts(texts)
}

// unknown returns the alerts that arrived and are not among may. A device that was
// told as enrolled, because its removal was read later, has to be told as part of
// the exposure, too (J3).
func (h *killHook) unknown(may map[string]string) (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inExposure := map[string]bool{} // by event
	for _, seen := range h.got {
		if seen.alert.Exposure != nil {
			inExposure[seen.alert.Event.ID] = true
		}
	}
	for id, seen := range h.got {
		if _, ok := may[id]; !ok && (seen.alert.Step != exposure.Enrolled || !inExposure[seen.alert.Event.ID]) {
			texts = append(texts, seen.text)
		}
	}
	return sortedTexts(texts)
}

// overtaken returns the alerts that arrived for the first time after a later
// step of their exposure.
func (h *killHook) overtaken() (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]*delivered) // by exposure: the latest step
	for _, seen := range slices.SortedFunc(maps.Values(h.got), func(a, b *delivered) int {
		return a.arrivals[0].at.Compare(b.arrivals[0].at)
	}) {
		if seen.alert.Exposure == nil {
			continue
		}
		if before := last[*seen.alert.Exposure]; before != nil && before.alert.Time.After(seen.alert.Time) {
			texts = append(texts, seen.text)
			continue
		}
		last[*seen.alert.Exposure] = seen
	}
	return texts
}

// A killAgain sums up what arrived more than once.
type killAgain struct {
	runs    int           // in which something arrived, of those that were killed
	total   int           // alerts that arrived once more than they had to
	most    int           // of them, because of one kill
	between time.Duration // from the arrival to the kill, at most
}

// again looks at what arrived more than once. Within one run nothing may.
func (h *killHook) again(t *testing.T, deaths map[int]time.Time) (a killAgain) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for run := range deaths {
		if h.runs[run] > 0 {
			a.runs++
		}
	}
	byKill := make(map[int]int)
	for _, seen := range h.got {
		for i, next := range seen.arrivals[1:] {
			before := seen.arrivals[i]
			if before.run == next.run {
				t.Errorf("sent twice within run %d: %s", next.run, seen.text)
				continue
			}
			a.total++
			byKill[before.run]++
			a.most = max(a.most, byKill[before.run])
			a.between = max(a.between, deaths[before.run].Sub(before.at))
		}
	}
	return a
}
