package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// While the service cannot be reached, the last overview stays, with the reason; what
// the service says later replaces it.
func TestTopWithoutTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen said
		p := &program{stdin: strings.NewReader(""), stdout: &screen}
		ctx, stop := context.WithCancel(t.Context())
		looks := 0
		look := func() (web.Overview, error) {
			if looks++; looks == 2 {
				return web.Overview{Quarantined: 42}, nil
			}
			return web.Overview{}, errors.New("connection\x1b refused")
		}
		ended := make(chan error)
		go func() { ended <- p.topLive(ctx, "127.0.0.1:9464", web.Overview{Quarantined: 41}, look) }()
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
			time.Sleep(topEvery)
		}
		stop()
		if err := <-ended; err != nil || !strings.HasSuffix(screen.String(), leaveScreen) {
			t.Errorf("%v, %q", err, last())
		}
	})
}
