package service

import (
	"context"
	"crypto/sha256"
	"time"
)

// plannedEvery is how often the file of planned changes is polled. It is not
// watched: mounted files change in ways that no watcher sees.
const plannedEvery = 5 * time.Second

// plannedRetry is how often a refused file is tried: the reason may have passed.
const plannedRetry = time.Minute

// pollPlannedChanges reloads the configuration for each change of the file of planned
// changes, until ctx is done.
func (p *Pipeline) pollPlannedChanges(ctx context.Context) {
	poll := time.NewTicker(plannedEvery)
	defer poll.Stop()
	var tried [sha256.Size]byte
	var retry time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
		now := time.Now()
		if sum, changed := p.Config().PlannedChangesFileChanged(); changed && (sum != tried || !now.Before(retry)) {
			tried, retry = sum, now.Add(plannedRetry)
			_, _ = p.Reload() // which logs
		}
	}
}
