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
	sources, sinks := map[string]*supervised{}, map[string]*servedSink{}
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
			sinks[name] = p.sinks[name]
		}
	}
	// A sink ends before the next of its name is built: both may hold one file.
	ended := differ(p.sinks, sinks)
	stopAll(ended)
	for _, name := range slices.Sorted(maps.Keys(next.Sinks)) {
		if sinks[name] != nil {
			continue
		}
		if sinks[name], err = p.newSink(name, next); err != nil {
			p.undo(sinks, ended)
			return c, err
		}
	}
	for _, s := range ended {
		if err := s.Close(); err != nil {
			s.log.Warn("the sink closed with an error", "err", err)
		}
		if sinks[s.name] == nil {
			c.Stopped = append(c.Stopped, "sink "+s.name)
			p.journal.Unregister(s.name)
			p.metrics.forgetSink(s.name)
		}
	}
	for _, s := range differ(sinks, p.sinks) {
		c.AddStarted("sink "+s.name, p.sinks[s.name] != nil)
		p.serve(s)
	}
	leaving := differ(p.sources, sources)
	p.stopSources(leaving)
	for _, s := range leaving {
		if sources[s.name] == nil {
			c.Stopped = append(c.Stopped, "source "+s.name)
			p.metrics.forgetSource(s.name)
			p.folding.processor.RemoveSource(s.name)
		}
	}
	p.folding.processor.SetPolicy(next.Policy())
	for _, s := range differ(sources, p.sources) {
		c.AddStarted("source "+s.name, p.sources[s.name] != nil)
		p.open(s)
	}
	p.deps.Level.Set(next.Log.Minimum())
	p.mu.Lock()
	p.config, p.sources, p.sinks = next, sources, sinks
	p.mu.Unlock()
	return c, nil
}

// undo closes the sinks that were built, and restarts those that were stopped.
func (p *Pipeline) undo(built map[string]*servedSink, ended []*servedSink) {
	for name, s := range built {
		if s == nil || s == p.sinks[name] {
			continue
		}
		_ = s.Close() // it has sent nothing
		if p.sinks[name] == nil {
			p.journal.Unregister(name)
			p.metrics.forgetSink(name)
		}
	}
	for _, s := range ended {
		p.serve(s)
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
