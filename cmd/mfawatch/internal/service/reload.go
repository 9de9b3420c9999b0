package service

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// Reload reads the configuration again. A valid one takes effect: sources and
// sinks that differ are restarted; the others keep running. An invalid one is
// refused as a whole, and the old one stays in effect. Both are logged and
// counted.
func (p *Pipeline) Reload() (config.Changes, error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	c, err := p.reload()
	p.metrics.reloaded(err)
	if err != nil {
		p.log.Error("the configuration was refused; the old one stays in effect", "err", err)
		return c, err
	}
	p.log.Info("the configuration was reloaded", "changes", c.String())
	return c, nil
}

func (p *Pipeline) reload() (config.Changes, error) {
	switch {
	case p.load == nil:
		return config.Changes{}, errors.New("this command has no configuration file to reload")
	case p.intake == nil || p.intake.Err() != nil:
		return config.Changes{}, errors.New("the service is not running: it is starting or stopping")
	}
	next, err := p.load()
	if err != nil {
		return config.Changes{}, err
	}
	if wrong := config.NeedRestart(&p.config.Settings, &next.Settings); len(wrong) > 0 {
		return config.Changes{}, config.Refuse("reload", wrong...)
	}
	return p.apply(next)
}

// apply replaces the configuration in effect. Steps that can fail come first; a
// failure undoes them.
func (p *Pipeline) apply(next *config.Config) (c config.Changes, err error) {
	now := p.config
	sources, channels := map[string]*supervised{}, map[string]*channel{}
	for name, wanted := range next.Sources {
		if reflect.DeepEqual(now.Sources[name], wanted) {
			sources[name] = p.sources[name]
			continue
		}
		if sources[name], err = p.newSource(name, next); err != nil {
			return c, err
		}
	}
	for name, wanted := range next.Sinks {
		if now.ShutdownTimeout == next.ShutdownTimeout && reflect.DeepEqual(now.Wording(), next.Wording()) && reflect.DeepEqual(now.Sinks[name], wanted) && config.RoutedAlike(name, now, next) {
			channels[name] = p.channels[name]
		}
	}
	// A sink ends before the next of its name is built: both may hold one file.
	ended := p.takeWorkers(differ(p.channels, channels))
	for _, name := range slices.Sorted(maps.Keys(next.Sinks)) {
		if channels[name] == nil {
			if err = p.addChannel(name, next, channels); err != nil {
				p.undo(channels, ended)
				return c, err
			}
		}
	}
	for _, ch := range differ(p.channels, channels) {
		if err := ch.Close(); err != nil {
			p.log.Warn("the sink closed with an error", "sink", ch.name, "err", err)
		}
		if channels[ch.name] == nil {
			c.Stopped = append(c.Stopped, "sink "+ch.name)
			p.forgetSink(ch.name)
		}
	}
	for _, ch := range differ(channels, p.channels) {
		c.AddStarted("sink "+ch.name, p.channels[ch.name] != nil)
		for _, s := range p.shardsInOrder() {
			p.serve(s.sinks[ch.name])
		}
	}
	leaving := differ(p.sources, sources)
	p.stopSources(leaving)
	for _, s := range leaving {
		p.metrics.sourceUp.DeleteLabelValues(s.name) // s may end late, and says so of itself alone
		if sources[s.name] == nil {
			c.Stopped = append(c.Stopped, "source "+s.name)
			p.metrics.forgetSource(s.name)
			p.processor.RemoveSource(s.name)
		}
	}
	p.processor.SetPolicy(next.Policy())
	for _, s := range differ(sources, p.sources) {
		c.AddStarted("source "+s.name, p.sources[s.name] != nil)
		p.open(s)
	}
	p.deps.Level.Set(next.Log.Minimum())
	p.mu.Lock()
	p.config, p.sources, p.channels = next, sources, channels
	p.mu.Unlock()
	if p.cluster != nil {
		p.shareRates()
	}
	return c, nil
}

// addChannel builds a sink, and its worker in each shard.
func (p *Pipeline) addChannel(name string, next *config.Config, channels map[string]*channel) (err error) {
	if channels[name], err = p.newChannel(name, next); err != nil {
		return err
	}
	for _, s := range p.shardsInOrder() {
		if err := p.addWorker(s, channels[name]); err != nil {
			return err
		}
	}
	return nil
}

// takeWorkers stops the workers of the sinks, and takes them out of the shards.
func (p *Pipeline) takeWorkers(leaving []*channel) (ended []*servedSink) {
	for _, w := range p.served() {
		if slices.Contains(leaving, w.channel) {
			ended = append(ended, w)
		}
	}
	stopAll(ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range ended {
		delete(w.shard.sinks, w.name)
	}
	return ended
}

// forgetSink removes a sink that the configuration has no longer.
func (p *Pipeline) forgetSink(name string) {
	for _, j := range p.Journals() {
		j.Unregister(name)
	}
	p.metrics.forgetSink(name)
}

// undo closes the sinks that were built, and restarts the workers that were
// stopped.
func (p *Pipeline) undo(built map[string]*channel, ended []*servedSink) {
	var fresh []*channel
	for name, c := range built {
		if c == nil || c == p.channels[name] {
			continue
		}
		fresh = append(fresh, c)
		if p.channels[name] == nil {
			p.forgetSink(name)
		}
	}
	p.takeWorkers(fresh)
	for _, c := range fresh {
		_ = c.Close() // it has sent nothing
	}
	for _, w := range ended {
		p.mu.Lock()
		w.shard.sinks[w.name] = w
		p.mu.Unlock()
		p.serve(w)
	}
}

// differ returns the parts of a that are not the same in b.
func differ[T comparable](a, b map[string]T) []T {
	var all []T
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			all = append(all, a[name])
		}
	}
	return all
}

// stopAll stops parts concurrently, and waits for all of them.
func stopAll[T interface{ stop() }](parts []T) {
	var all sync.WaitGroup
	for _, s := range parts {
		all.Go(s.stop)
	}
	all.Wait()
}
