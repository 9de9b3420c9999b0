package service

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// onHangup calls f at every SIGHUP until ctx is done.
func onHangup(ctx context.Context, f func()) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			f()
		}
	}
}
