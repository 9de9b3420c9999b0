package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A countedService counts how often a page is built of it.
type countedService struct {
	*still
	built *atomic.Int32
}

func (s countedService) Stats() (journal.Stats, error) {
	s.built.Add(1)
	return s.still.Stats()
}

// All streams of a view share what is built of it: once as the first opens, at each
// alert, and every few seconds.
func TestStreamsShareAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := stillPages(t, true)
		var built atomic.Int32
		p.Service = countedService{s, &built}
		ctx, cancel := context.WithCancel(t.Context())
		answers := make([]*httptest.ResponseRecorder, maxStreams)
		done := make(chan struct{})
		for i := range answers {
			answers[i] = httptest.NewRecorder()
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
			go func() {
				p.events(answers[i], r)
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		if n := built.Swap(0); n != 1 {
			t.Errorf("%d pages were built for the first look of %d streams", n, maxStreams)
		}
		time.Sleep(2 * streamPause)
		alert(t, s.j, "bob")
		synctest.Wait()
		if n := built.Swap(0); n != 1 {
			t.Errorf("%d pages were built for an alert", n)
		}
		time.Sleep(time.Minute)
		if n := built.Swap(0); n < 5 || n > 13 {
			t.Errorf("%d pages were built in a minute without an alert", n)
		}
		for i := range 20 { // several a second
			alert(t, s.j, fmt.Sprint("user-", i))
			time.Sleep(streamPause / 5)
		}
		if n := built.Swap(0); n > 5 {
			t.Errorf("%d pages were built in 4 s with alerts", n)
		}
		time.Sleep(2 * streamPause)
		cancel()
		for range answers {
			<-done
		}
		for i, a := range answers {
			if body := a.Body.String(); !strings.Contains(body, `id="a-bob"`) || !strings.Contains(body, `id="a-user-19"`) {
				t.Errorf("stream %d misses an alert: %s", i, body)
			}
		}
		if len(p.shown.views) > 0 {
			t.Errorf("views without a stream: %v", p.shown.views)
		}
	})
}

// alert appends an alert about a user.
func alert(t *testing.T, j *journal.Journal, user string) {
	t.Helper()
	if _, err := j.Append(t.Context(), []*trail.Event{{ID: user, Name: trail.DeactivateMFADevice, Account: "111122223333", Time: exposureTime}}); err != nil {
		t.Fatal(err)
	}
	_, err := j.Fold(t.Context(), exposureTime, func([]*trail.Event, alerting.State, time.Time) alerting.Outcome {
		return alerting.Outcome{Alerts: []*processor.Alert{{ID: user, Severity: exposure.High, Step: exposure.Opened, Account: "111122223333", Exposure: &user, User: &user, Time: exposureTime}}}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// A page that takes long to build is built less often, and so is each of many views.
func TestSlowPagesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shownViews
		built := 0
		slow := func() (event, error) {
			built++
			time.Sleep(50 * time.Millisecond)
			return event{}, nil
		}
		const views = 40
		for page := range views {
			x := s.open(view{Page: page})
			for range 5 {
				if _, _, err := s.latest(x, slow); err != nil {
					t.Fatal(err)
				}
			}
		}
		if built != views {
			t.Errorf("%d builds of %d views", built, views)
		}
		if rest := s.rest(50 * time.Millisecond); rest != 10*time.Second {
			t.Errorf("rests for %s", rest)
		}
	})
}
