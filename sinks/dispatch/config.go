package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// DeliveryConfig is how a sink is sent its alerts. What is zero is its default.
type DeliveryConfig struct {
	Timeout     time.Duration `koanf:"timeout"`     // of one attempt; default 30s
	Retry       RetryConfig   `koanf:"retry"`       // of attempts that failed
	Concurrency int           `koanf:"concurrency"` // sends at once, for as many exposures; default 8. A sink that keeps an order has 1
	Rate        float64       `koanf:"rate"`        // bound on alerts (of a group: messages) a second; default 0: none
	Group       GroupConfig   `koanf:"group"`       // of alerts in a storm
	// People says that the sink tells people how an exposure stands: what is
	// unsent when it is over gives way to its end.
	People bool `koanf:"-"`
}

// RetryConfig is when an attempt that failed is made again: after a random time
// below a bound that doubles with each, from Min to Max.
type RetryConfig struct {
	Min time.Duration `koanf:"min"` // the first bound; default 1s
	Max time.Duration `koanf:"max"` // the last bound; default 5m
	Age time.Duration `koanf:"age"` // time since its first failure after which an alert becomes a dead letter; default 24h
}

// GroupConfig makes one message of the alerts of a storm, for a sink that is a
// sinks.GroupSender: the first alert of an account or actor is told at once, and
// those that follow it within Wait become one message, and so on until a Wait
// passes without any.
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

// DefaultDeliveryConfig is what a DeliveryConfig means where it is zero.
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

// maxConcurrency bounds the sends of one sink at once: each holds an alert.
// maxRetry bounds how long a channel that is back may go unnoticed.
const (
	maxConcurrency = 1024
	maxRetry       = 24 * time.Hour
)

// Validate tells every mistake in c. The errors are joined, each of the form
// "field: problem".
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
