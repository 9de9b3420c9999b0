package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/stdout"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/httpin"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
	"github.com/mfawatch/mfawatch/sources/s3"
)

// Deps is what sources and sinks are built with besides their
// configuration.
type Deps struct {
	Stdin   io.Reader
	Stdout  io.Writer
	Colours bool // stdout is a terminal that wants them
	Log     *slog.Logger
	Level   *slog.LevelVar // of log
	Metrics prometheus.Registerer
	Places  sources.OffsetStore
	Wording message.Wording // of all channels that people read
}

// A Source is the configuration of one source.
type Source interface {
	Entry
	// Build returns the source. It asks for nothing on the network.
	Build(name string, s Deps) (sources.Source, error)
}

// A Sink is the configuration of one sink.
type Sink interface {
	Entry
	// Build returns the sink. It asks for nothing on the network.
	Build(s Deps) (sinks.Sink, error)
	// Delivery returns the keys that each sink has.
	Delivery() dispatch.DeliveryConfig
	// Reader returns who is behind the sink.
	Reader() route.Kind
	// UsesStdout reports whether the sink writes to standard output.
	UsesStdout() bool
}

// SourceKinds and SinkKinds make the configuration of each type, with its
// defaults.
var (
	SourceKinds = map[string]func() Source{
		"files": func() Source { return &filesSource{} },
		"http":  func() Source { return &httpSource{Config: httpin.DefaultConfig()} },
		"kafka": func() Source { return &kafkaSource{Topics: kafkasource.DefaultConfig()} },
		"s3":    func() Source { return &s3Source{Queue: s3.DefaultConfig()} },
	}
	SinkKinds = map[string]func() Sink{
		"email":      newEmailSink,
		"file":       func() Sink { return &fileSink{sending: inTurn()} },
		"kafka":      func() Sink { return &kafkaSink{sending: toMachines()} },
		"pagerduty":  func() Sink { return newPagerDutySink() },
		"servicenow": func() Sink { return newServiceNowSink() },
		"slack":      func() Sink { return newSlackSink() },
		"sms":        newSMSSink,
		"stdout": func() Sink {
			return &stdoutSink{Config: stdout.Config{Format: "json"}, sending: inTurn()}
		},
		"webhook": func() Sink { return &webhookSink{sending: toMachines()} },
		"zendesk": func() Sink { return newZendeskSink() },
	}
)

// sending is how a sink is sent its alerts. It is a part of the configuration of
// each.
type sending struct {
	dispatch.DeliveryConfig `koanf:",squash"`
	behind                  route.Kind // who reads it: people, if nothing else is said
	inTurn                  bool       // one after the other
	people                  bool       // who can be told several alerts in one message
}

func toMachines() sending {
	return sending{DeliveryConfig: dispatch.DefaultDeliveryConfig(), behind: route.Machine}
}

func inTurn() sending {
	s := toMachines()
	s.inTurn, s.Concurrency = true, 1
	return s
}

// Delivery returns the keys that each sink has.
func (s sending) Delivery() dispatch.DeliveryConfig { return s.DeliveryConfig }

// Reader returns who is behind the sink.
func (s sending) Reader() route.Kind { return s.behind }

// UsesStdout reports false: one kind of sinks does.
func (s sending) UsesStdout() bool { return false }

// Validate refuses what would have no effect, too.
func (s sending) Validate() error {
	errs := []error{s.DeliveryConfig.Validate()}
	if s.inTurn && s.Concurrency != 1 {
		errs = append(errs, fmt.Errorf("concurrency: want 1, since this sink is told in the order of the alerts, got %d", s.Concurrency))
	}
	if s.Group.Wait > 0 && !s.people {
		errs = append(errs, fmt.Errorf("group.wait: want 0s, since this sink gets each alert by itself, got %s", FormatDuration(s.Group.Wait)))
	}
	return errors.Join(errs...)
}

// CloseSink releases what a sink holds.
func CloseSink(s sinks.Sink) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
