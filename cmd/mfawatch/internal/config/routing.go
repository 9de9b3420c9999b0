package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
)

// Kinds returns who reads each sink, by its name.
func (c *Config) Kinds() map[string]route.Kind {
	kinds := make(map[string]route.Kind, len(c.Sinks))
	for name, sink := range c.Sinks {
		kinds[name] = sink.Reader()
	}
	return kinds
}

// routeMistakes returns every mistake in the routes to sinks with these names.
func (c *Config) routeMistakes(names []string) []Mistake {
	var all []Mistake
	for i, r := range c.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		if err := r.Validate(names); err != nil {
			all = append(all, MistakesOf(path, err)...)
			continue
		}
		notified := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			sink := c.Sinks[name]
			return !r.Notifies(name) || sink != nil && sink.Reader() == route.Machine
		})
		if len(notified) > 0 {
			continue
		}
		const none = "has no effect, since the route notifies no human sink; machine sinks get every alert immediately"
		if len(r.MuteTimes) > 0 {
			all = append(all, Mistake{path + ".mute_times", none})
		}
		if r.MinSeverity != "" {
			all = append(all, Mistake{path + ".min_severity", none})
		}
	}
	return all
}

// RouteTable returns the configured routes. Without any, it returns one for each
// lowest severity of which human sinks are notified by default.
func (c *Config) RouteTable() []route.Route {
	if len(c.Routes) > 0 {
		return c.Routes
	}
	of := map[exposure.Severity][]string{}
	for name, sink := range c.Sinks {
		if sink.Reader() != route.Machine {
			of[sink.MinSeverity()] = append(of[sink.MinSeverity()], name)
		}
	}
	var table []route.Route
	for _, severity := range slices.Sorted(maps.Keys(of)) {
		names := of[severity]
		slices.Sort(names)
		table = append(table, route.Route{Sinks: names, MinSeverity: string(severity), Continue: true, Default: true})
	}
	return table
}

// Router returns the router. The configuration must be valid.
func (c *Config) Router() (*route.Router, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	return route.New(c.RouteTable(), c.Kinds(), c.Policy().Accounts, zone)
}

// TryRecipients returns an error if sink refuses the recipients of a route.
func (c *Config) TryRecipients(name string, sink sinks.Sink) error {
	for i, r := range c.Routes {
		list := r.Recipients[name]
		if len(list) == 0 {
			continue
		}
		if _, err := dispatch.Address(sink, list); err != nil {
			problem := strings.TrimPrefix(err.Error(), "recipients: ")
			return c.refuse(Mistake{fmt.Sprintf("routes[%d].recipients.%s", i, name), problem})
		}
	}
	return nil
}

// TryAll builds each sink that has recipients in a route, and checks them.
func (c *Config) TryAll(s Deps) error {
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if !slices.ContainsFunc(c.Routes, func(r route.Route) bool { return len(r.Recipients[name]) > 0 }) {
			continue
		}
		sink, err := c.Sinks[name].Build(s)
		if err != nil {
			return fmt.Errorf("sinks.%s: %w", name, err)
		}
		if err := errors.Join(c.TryRecipients(name, sink), CloseSink(sink)); err != nil {
			return err
		}
	}
	return nil
}

// RoutedAlike reports whether both configurations route the same alerts to a sink.
func RoutedAlike(name string, now, next *Config) bool {
	if now.TimeZone == next.TimeZone && reflect.DeepEqual(now.RouteTable(), next.RouteTable()) && reflect.DeepEqual(now.Accounts, next.Accounts) && maps.Equal(now.Kinds(), next.Kinds()) {
		return true
	}
	a, err := now.Router()
	b, err2 := next.Router()
	return err == nil && err2 == nil && a.Plain(name) && b.Plain(name)
}

// People returns whether each sink is a human sink, by its name.
func (c *Config) People() map[string]bool {
	people := make(map[string]bool, len(c.Sinks))
	for name, sink := range c.Sinks {
		people[name] = sink.Delivery().People
	}
	return people
}
