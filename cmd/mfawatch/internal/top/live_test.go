package top

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// While the service cannot be reached, the last overview stays, with the reason; what
// the service says later replaces it.
func TestLiveWithoutTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen screen
		live := Screen{In: strings.NewReader(""), Out: &screen}
		ctx, stop := context.WithCancel(t.Context())
		looks := 0
		look := func() (web.Overview, error) {
			if looks++; looks == 2 {
				return web.Overview{Quarantined: 42}, nil
			}
			return web.Overview{}, errors.New("connection\x1b refused")
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			live.Live(ctx, "127.0.0.1:9464", web.Overview{Quarantined: 41}, look)
		}()
		last := func() string {
			synctest.Wait()
			frames := strings.Split(screen.String(), cursorHome)
			return frames[len(frames)-1]
		}
		for _, want := range []struct{ has, hasNot string }{
			{"in quarantine: 41", "OUT OF DATE"}, {"OUT OF DATE: connection\uFFFD refused", "in quarantine: 42"}, {"in quarantine: 42", "OUT OF DATE"}, {"OUT OF DATE", "in quarantine: 0"},
		} {
			if got := last(); !strings.Contains(got, want.has) || strings.Contains(got, want.hasNot) {
				t.Errorf("want %q and no %q in %q", want.has, want.hasNot, got)
			}
			time.Sleep(lookEvery)
		}
		stop()
		<-ended
		if !strings.HasSuffix(screen.String(), leaveScreen) {
			t.Errorf("left the screen with %q", last())
		}
	})
}

// A screen keeps what was written on it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
