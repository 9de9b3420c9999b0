package service

import (
	"context"
	"crypto/sha256"
	"time"
)

// plannedEvery is how often the file of planned changes is polled. It is not
// watched: mounted files change in ways that no watcher sees.
const plannedEvery = 5 * time.Second

// pollPlannedChanges reloads the configuration once for each change of the file
// of planned changes, until ctx is done.
func (p *Pipeline) pollPlannedChanges(ctx context.Context) {
	poll := time.NewTicker(plannedEvery)
	defer poll.Stop()
	var tried [sha256.Size]byte // a refused file is not tried again
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
		if sum, changed := p.Config().PlannedChangesFileChanged(); changed && sum != tried {
			tried = sum
			_, _ = p.Reload() // which logs
		}
	}
}
