package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// DeliveryConfig configures how alerts are sent to a sink. A zero field has its
// default.
type DeliveryConfig struct {
	Timeout     time.Duration `koanf:"timeout"`     // of one attempt; default 30s
	Retry       RetryConfig   `koanf:"retry"`       // of attempts that failed
	Concurrency int           `koanf:"concurrency"` // concurrent sends, each of another exposure; default 8. A sink that keeps an order has 1
	Rate        float64       `koanf:"rate"`        // alerts a second, except critical ones; a group counts once; default 0: unlimited
	Group       GroupConfig   `koanf:"group"`       // how alerts of a burst share a message
	// People reports that people read the sink: if an exposure ends while earlier
	// alerts are queued, only the end is sent, and critical alerts.
	People bool `koanf:"-"`
}

// RetryConfig configures when a failed attempt is made again: after a random time
// up to a bound that doubles with each failure, from Min to Max. The time has no
// lower bound.
type RetryConfig struct {
	Min time.Duration `koanf:"min"` // the first bound; default 1s
	Max time.Duration `koanf:"max"` // the last bound; default 5m
	Age time.Duration `koanf:"age"` // time since its first failure after which an alert becomes a dead letter; default 24h
}

// GroupConfig configures groups, for a sink that is a sinks.GroupSender: the first
// alert of an account or actor is sent immediately, and new exposures that follow
// within Wait share one message, until a Wait passes without any. Critical alerts,
// and the later alerts of an exposure, have messages of their own.
type GroupConfig struct {
	Wait time.Duration `koanf:"wait"` // default 0: no groups
	Max  int           `koanf:"max"`  // alerts in one message; default 50
	By   string        `koanf:"by"`   // account or actor; default account
}

// maxGroup bounds GroupConfig.Max: people read the message.
const maxGroup = 1000

// The values of GroupConfig.By.
const (
	byAccount = "account"
	byActor   = "actor"
)

// DefaultDeliveryConfig returns the defaults of DeliveryConfig.
func DefaultDeliveryConfig() DeliveryConfig { return DeliveryConfig{}.withDefaults() }

func (c DeliveryConfig) withDefaults() DeliveryConfig {
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Retry.Min = cmp.Or(c.Retry.Min, min(time.Second, cmp.Or(c.Retry.Max, time.Second)))
	c.Retry.Max = cmp.Or(c.Retry.Max, max(5*time.Minute, c.Retry.Min))
	c.Retry.Age = cmp.Or(c.Retry.Age, 24*time.Hour)
	c.Concurrency = cmp.Or(c.Concurrency, 8)
	c.Group.Max = cmp.Or(c.Group.Max, 50)
	c.Group.By = cmp.Or(c.Group.By, byAccount)
	return c
}

// maxConcurrency bounds the concurrent sends of one sink: each holds an alert.
// maxRetry bounds how long a restored channel may go unnoticed.
const (
	maxConcurrency = 1024
	maxRetry       = 24 * time.Hour
)

// Validate returns every mistake in c, joined, each as "field: problem".
func (c DeliveryConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		field, example string
		value          time.Duration
	}{
		{"timeout", "30s", c.Timeout},
		{"retry.min", "1s", c.Retry.Min},
		{"retry.max", "5m", c.Retry.Max},
		{"retry.age", "24h", c.Retry.Age},
		{"group.wait", "30s", c.Group.Wait},
	} {
		if d.value < 0 {
			bad("%s: want a time over zero, such as %s, got %s", d.field, d.example, d.value)
		}
	}
	if c.Retry.Min > maxRetry {
		bad("retry.min: want at most %s, got %s", maxRetry, c.Retry.Min)
	}
	if c.Retry.Max > maxRetry {
		bad("retry.max: want at most %s, got %s", maxRetry, c.Retry.Max)
	}
	if c.Retry.Min > 0 && c.Retry.Max > 0 && c.Retry.Min > c.Retry.Max {
		bad("retry.min: want at most retry.max (%s), got %s", c.Retry.Max, c.Retry.Min)
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		bad("concurrency: want 1 to %d, got %d", maxConcurrency, c.Concurrency)
	}
	if !(c.Rate >= 0) || math.IsInf(c.Rate, 0) {
		bad("rate: want alerts a second, such as 0.5, or 0 for no bound, got %v", c.Rate)
	}
	if c.Group.Max != 0 && (c.Group.Max < 2 || c.Group.Max > maxGroup) {
		bad("group.max: want 2 to %d, got %d", maxGroup, c.Group.Max)
	}
	if by := c.Group.By; by != "" && by != byAccount && by != byActor {
		bad("group.by: want account or actor, got %q", by)
	}
	return errors.Join(errs...)
}
