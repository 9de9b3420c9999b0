package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
)

// Bounds of the streams of events.
const (
	maxStreams  = 64
	streamEvery = 5 * time.Second // between looks while no alert comes
	streamPause = time.Second     // between looks at least
	streamWrite = 10 * time.Second
	streamTime  = time.Hour // then the browser connects again
)

// events streams the changing part of the overview as server-sent events, each
// time that it is another. Its ID is its hash, so a browser that connects again is
// sent nothing that it has.
func (p pages) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.live <- struct{}{}:
		defer func() { <-p.live }()
	default:
		plain(w, http.StatusServiceUnavailable, "too many pages are open; load them again to see what is new\n")
		return
	}
	control := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	last := r.Header.Get("Last-Event-ID")
	v, _ := viewOf(r.URL.Query())
	shown := p.shown.open(v)
	defer p.shown.close(v)
	end := time.After(streamTime)
	for {
		event, rest, err := p.shown.latest(shown, func() (event, error) { return p.event(v) })
		if err != nil {
			return
		}
		message := event.message
		if event.id == last {
			message = []byte("event: same\ndata: -\n\n") // shows each whether the other is there
		}
		last = event.id
		_ = control.SetWriteDeadline(time.Now().Add(streamWrite)) // not supported in tests: not needed
		if _, err := w.Write(message); err != nil || control.Flush() != nil {
			return
		}
		if !p.pause(r, rest, nil, end) || !p.pause(r, streamEvery, event.alerted, end) {
			return
		}
	}
}

// pause waits, no longer than until something came; false: the stream ends.
func (p pages) pause(r *http.Request, wait time.Duration, came <-chan struct{}, end <-chan time.Time) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-p.ended:
	case <-end:
	case <-came:
		return true
	case <-timer.C:
		return true
	}
	return false
}

// An event is the changing part of a view, as a server-sent event.
type event struct {
	message []byte
	id      string
	alerted <-chan struct{} // closed by the next alert; nil of several journals
}

// event builds the event of a view.
func (p pages) event(v view) (event, error) {
	var alerted <-chan struct{}
	if journals := p.Journals(); len(journals) == 1 {
		alerted = journals[0].Alerted()
	}
	o, err := p.overview(v)
	if err != nil {
		return event{}, err
	}
	var b bytes.Buffer
	for _, name := range []string{"health", "live"} {
		if err := pageTemplate().ExecuteTemplate(&b, name, o); err != nil {
			return event{}, err
		}
	}
	sum := sha256.Sum256(b.Bytes())
	id := hex.EncodeToString(sum[:8])
	var e bytes.Buffer
	fmt.Fprintf(&e, "id: %s\n", id)
	for line := range bytes.SplitSeq(b.Bytes(), []byte("\n")) {
		e.WriteString("data: ")
		e.Write(bytes.ReplaceAll(line, []byte("\r"), nil))
		e.WriteByte('\n')
	}
	e.WriteByte('\n')
	return event{e.Bytes(), id, alerted}, nil
}
