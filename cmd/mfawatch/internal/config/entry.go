package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/sms"
	"github.com/mfawatch/mfawatch/sources"
)

// A sourceKind is one type of source, configured by a C.
type sourceKind[C Entry] struct {
	config func() C // the defaults; nil: the zero value
	build  func(c C, name string, d Deps) (sources.Source, error)
	listen func(C) string // the address that it listens on; nil: none
}

// A sourceEntry is the configuration of one source. Two of the same content are
// deeply equal, since kind is a row of SourceKinds.
type sourceEntry[C Entry] struct {
	Type   string `koanf:"type"`
	Config C      `koanf:",squash"`
	kind   *sourceKind[C]
}

func (k *sourceKind[C]) new() Source {
	e := &sourceEntry[C]{kind: k}
	if k.config != nil {
		e.Config = k.config()
	}
	return e
}

func (e *sourceEntry[C]) Validate() error { return e.Config.Validate() }

func (e *sourceEntry[C]) Build(name string, d Deps) (sources.Source, error) {
	return e.kind.build(e.Config, name, d)
}

// listens returns the address that the source listens on, "" for none.
func (e *sourceEntry[C]) listens() string {
	if e.kind.listen == nil {
		return ""
	}
	return e.kind.listen(e.Config)
}

// source returns the options that every source is built with.
func (d Deps) source() sources.Options {
	return sources.Options{Logger: d.Log, Registerer: d.Metrics, Alone: d.Shared == nil}
}

// A sinkKind is one type of sink, configured by a C.
type sinkKind[C Entry] struct {
	config      func() C          // the defaults; nil: the zero value
	reader      route.Kind        // default: Machine
	minSeverity exposure.Severity // where no route is configured; "": any
	machines    func(C) bool      // whether this configuration is for machines all the same
	people      bool              // the end of an exposure supersedes what is unsent
	rate        float64           // default bound on messages a second
	concurrency int               // default; 0: dispatch's
	inOrder     bool              // one alert after the other
	groups      bool              // several alerts fit in one message
	maxGroup    int               // in one message; 0: any number
	wait        time.Duration     // default group window
	stdout      bool
	build       func(c C, d Deps) (sinks.Sink, error)
}

// A sinkEntry is the configuration of one sink; reflect.DeepEqual compares two.
type sinkEntry[C Entry] struct {
	Type    string                  `koanf:"type"`
	Config  C                       `koanf:",squash"`
	Sending dispatch.DeliveryConfig `koanf:",squash"`
	kind    *sinkKind[C]
}

func (k *sinkKind[C]) new() Sink {
	e := &sinkEntry[C]{Sending: dispatch.DefaultDeliveryConfig(), kind: k}
	if k.config != nil {
		e.Config = k.config()
	}
	e.Sending.People, e.Sending.Rate, e.Sending.Group.Wait = k.people, k.rate, k.wait
	e.Sending.Concurrency = cmp.Or(k.concurrency, e.Sending.Concurrency)
	if k.inOrder {
		e.Sending.Concurrency = 1
	}
	return e
}

// Validate refuses keys without effect, too.
func (e *sinkEntry[C]) Validate() error {
	errs := []error{e.Config.Validate(), e.Sending.Validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if n := e.Sending.Concurrency; e.kind.inOrder && n != 1 {
		bad("concurrency: want 1, since this sink keeps the order of the alerts, got %d", n)
	}
	group, apart := e.Sending.Group, !e.kind.groups || e.forMachines()
	if apart && group.Wait > 0 {
		bad("group.wait: want 0s, since this sink gets each alert by itself, got %s", FormatDuration(group.Wait))
	} else if group.Wait == 0 && group != dispatch.DefaultDeliveryConfig().Group {
		if apart {
			bad("group: has no effect, since this sink gets each alert by itself; remove it")
		} else {
			bad("group: has no effect without group.wait; set one such as 30s, or remove max and by")
		}
	}
	if limit := e.kind.maxGroup; limit > 0 && group.Max > limit {
		bad("group.max: want at most %d, the limit of one message, got %d", limit, group.Max)
	}
	return errors.Join(errs...)
}

func (e *sinkEntry[C]) Build(d Deps) (sinks.Sink, error) { return e.kind.build(e.Config, d) }

func (e *sinkEntry[C]) Delivery() dispatch.DeliveryConfig { return e.Sending }

func (e *sinkEntry[C]) UsesStdout() bool { return e.kind.stdout }

func (e *sinkEntry[C]) Reader() route.Kind {
	if e.forMachines() {
		return route.Machine
	}
	return e.kind.reader
}

func (e *sinkEntry[C]) MinSeverity() exposure.Severity { return e.kind.minSeverity }

func (e *sinkEntry[C]) forMachines() bool {
	return e.kind.machines != nil && e.kind.machines(e.Config)
}

// reached is a configuration together with that of the service it is reached at.
type reached[R, C Entry] struct {
	Reach  R `koanf:",squash"`
	Config C `koanf:",squash"`
}

// reach returns a function that returns the defaults of a reached.
func reach[R, C Entry](defaults func() C) func() reached[R, C] {
	return func() reached[R, C] { return reached[R, C]{Config: defaults()} }
}

func (c reached[R, C]) Validate() error { return errors.Join(c.Reach.Validate(), c.Config.Validate()) }

// sameBrokers reports whether two lists name the same brokers.
func sameBrokers(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

type smsConfig struct {
	Texts sms.Config `koanf:",squash"`
	AWS   aws.Config `koanf:",squash"`
}

func (c smsConfig) Validate() error {
	err := c.Texts.Validate()
	switch {
	case c.Texts.AWS():
		return errors.Join(err, c.AWS.Validate())
	case c.AWS != aws.Config{}:
		return errors.Join(err, fmt.Errorf("provider: region, credentials and the other keys of AWS have no effect with %s; want sns or aws-sms-voice-v2, or remove them", c.Texts.Provider))
	}
	return err
}
