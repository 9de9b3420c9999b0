package service

import (
	"context"
	"crypto/sha256"
	"time"
)

// plannedEvery is how often the file of expected changes is looked at. It is
// read, not watched: mounted files are changed in ways that no watcher sees.
const plannedEvery = 5 * time.Second

// watchAnnounced reloads the configuration when the file of expected changes is
// another, once for each, until ctx is done.
func (p *Pipeline) watchAnnounced(ctx context.Context) {
	look := time.NewTicker(plannedEvery)
	defer look.Stop()
	var tried [sha256.Size]byte // what was refused is not tried again
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if sum, changed := p.Config().AnnouncedChanged(); changed && sum != tried {
			tried = sum
			_, _ = p.Reload() // which logs
		}
	}
}
