package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sources"
)

// surroundings is what sources and sinks are built with besides their
// configuration.
type surroundings struct {
	stdin   io.Reader
	stdout  io.Writer
	colours bool // stdout is a terminal that wants them
	log     *slog.Logger
	level   *slog.LevelVar // of log
	metrics prometheus.Registerer
	places  sources.Bookkeeper
	wording sinks.Wording // of all channels that people read
}

// A sourceConfig is the configuration of one source.
type sourceConfig interface {
	entry
	build(name string, s surroundings) (sources.Source, error)
}

// A sinkConfig is the configuration of one sink.
type sinkConfig interface {
	entry
	build(s surroundings) (sinks.Sink, error)
	delivery() sinks.DeliveryConfig
	reader() route.Kind // who is behind it
	usesStdout() bool
}

// sourceTypes and sinkTypes make the configuration of each type, with its
// defaults.
var (
	sourceTypes = map[string]func() sourceConfig{
		"files": func() sourceConfig { return &filesSource{} },
		"http":  func() sourceConfig { return &httpSource{HTTPConfig: sources.DefaultHTTPConfig()} },
		"kafka": func() sourceConfig { return &kafkaSource{KafkaConfig: sources.DefaultKafkaConfig()} },
		"s3":    func() sourceConfig { return &s3Source{S3Config: sources.DefaultS3Config()} },
	}
	sinkTypes = map[string]func() sinkConfig{
		"email":      newEmailSink,
		"file":       func() sinkConfig { return &fileSink{sending: inTurn()} },
		"kafka":      func() sinkConfig { return &kafkaSink{sending: toMachines()} },
		"pagerduty":  func() sinkConfig { return newPagerDutySink() },
		"servicenow": func() sinkConfig { return newServiceNowSink() },
		"slack":      func() sinkConfig { return newSlackSink() },
		"sms":        newSMSSink,
		"stdout": func() sinkConfig {
			return &stdoutSink{StdoutConfig: sinks.StdoutConfig{Format: "json"}, sending: inTurn()}
		},
		"webhook": func() sinkConfig { return &webhookSink{sending: toMachines()} },
		"zendesk": func() sinkConfig { return newZendeskSink() },
	}
)

// sending is how a sink is sent its alerts. It is a part of the configuration of
// each.
type sending struct {
	sinks.DeliveryConfig `koanf:",squash"`
	behind               route.Kind // who reads it: people, if nothing else is said
	inTurn               bool       // one after the other
	people               bool       // who can be told several alerts in one message
}

func toMachines() sending {
	return sending{DeliveryConfig: sinks.DefaultDeliveryConfig(), behind: route.Machine}
}

func inTurn() sending {
	s := toMachines()
	s.inTurn, s.Concurrency = true, 1
	return s
}

func (s sending) delivery() sinks.DeliveryConfig { return s.DeliveryConfig }

func (s sending) reader() route.Kind { return s.behind }

func (s sending) usesStdout() bool { return false }

// Validate refuses what would have no effect, too.
func (s sending) Validate() error {
	errs := []error{s.DeliveryConfig.Validate()}
	if s.inTurn && s.Concurrency != 1 {
		errs = append(errs, fmt.Errorf("concurrency: want 1, since this sink is told in the order of the alerts, got %d", s.Concurrency))
	}
	if s.Group.Wait > 0 && !s.people {
		errs = append(errs, fmt.Errorf("group.wait: want 0s, since this sink gets each alert by itself, got %s", formatDuration(s.Group.Wait)))
	}
	return errors.Join(errs...)
}

func closeSink(s sinks.Sink) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
