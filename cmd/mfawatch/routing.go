package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
)

// kinds returns who is behind each sink, by its name.
func (c *Config) kinds() map[string]route.Kind {
	kinds := make(map[string]route.Kind, len(c.Sinks))
	for name, sink := range c.Sinks {
		kinds[name] = sink.reader()
	}
	return kinds
}

// routeMistakes tells what is wrong with the routes.
func (c *Config) routeMistakes() []mistake {
	var all []mistake
	names := slices.Sorted(maps.Keys(c.Sinks))
	for i, r := range c.Routes {
		all = append(all, mistakesOf(fmt.Sprintf("routes[%d]", i), r.Validate(names))...)
	}
	return all
}

// router is who is told what. The configuration is sound.
func (c *Config) router() (*route.Router, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	return route.New(c.Routes, c.kinds(), c.policy().Accounts, zone)
}

// tryRecipients finds those of the routes that their sink does not take.
func (c *Config) tryRecipients(name string, sink sinks.Sink) error {
	for i, r := range c.Routes {
		list := r.Recipients[name]
		if len(list) == 0 {
			continue
		}
		if _, err := sinks.Address(sink, list); err != nil {
			problem := strings.TrimPrefix(err.Error(), "recipients: ")
			return &configError{"routes", []mistake{{fmt.Sprintf("routes[%d].recipients.%s", i, name), problem}}}
		}
	}
	return nil
}

// tryAll builds those sinks for which routes have recipients, and no other.
func (c *Config) tryAll(s surroundings) error {
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if !slices.ContainsFunc(c.Routes, func(r route.Route) bool { return len(r.Recipients[name]) > 0 }) {
			continue
		}
		sink, err := c.Sinks[name].build(s)
		if err != nil {
			return fmt.Errorf("sinks.%s: %w", name, err)
		}
		err = c.tryRecipients(name, sink)
		closeSink(sink)
		if err != nil {
			return err
		}
	}
	return nil
}

// routedAlike reports whether a sink is told the same by both configurations.
func routedAlike(name string, now, next *Config) bool {
	if now.TimeZone == next.TimeZone && reflect.DeepEqual(now.Routes, next.Routes) && reflect.DeepEqual(now.Accounts, next.Accounts) && maps.Equal(now.kinds(), next.kinds()) {
		return true
	}
	a, err := now.router()
	b, err2 := next.router()
	return err == nil && err2 == nil && a.Plain(name) && b.Plain(name)
}

// people says of each sink whether it tells people.
func (c *Config) people() map[string]bool {
	people := make(map[string]bool, len(c.Sinks))
	for name, sink := range c.Sinks {
		people[name] = sink.delivery().People
	}
	return people
}
