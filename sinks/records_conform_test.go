package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// The channels of machines get every alert as a record, which has its ID.

// recordsOf reads the alerts of one exposure, one a line.
func recordsOf(t *testing.T, text []byte, of *processor.Alert) (records []*processor.Alert) {
	t.Helper()
	name := of.ID
	if of.Exposure != nil {
		name = *of.Exposure
	}
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(name)) {
			continue
		}
		a := new(processor.Alert)
		if err := json.Unmarshal(line, a); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("line %.200q: %v", line, err)
		}
		records = append(records, a)
	}
	return records
}

func TestFileConforms(t *testing.T) {
	conforms(t, conformant{start: func(t *testing.T) *conformServer {
		path := filepath.Join(t.TempDir(), "alerts.jsonl")
		return &conformServer{
			sink: func() (Sink, error) { return NewFile(FileConfig{Path: path}) },
			holds: func(a *processor.Alert) held {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return conformRecords(recordsOf(t, text, a), a)
			},
			inject: func(fault) bool { return false },
			bodies: func() []string { return nil },
		}
	}})
}

// A pipe is what is at the other end of a Stdout: it may break off.
type conformPipe struct {
	mu     sync.Mutex
	text   bytes.Buffer
	faults []fault
	writes []string
}

func (p *conformPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, string(b))
	if len(p.faults) > 0 {
		p.faults = p.faults[1:]
		return 0, io.ErrClosedPipe
	}
	return p.text.Write(b)
}

func TestStdoutConforms(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			conforms(t, conformant{people: format == "text", copies: map[string]string{"text": "a terminal has no key"}[format], start: func(t *testing.T) *conformServer {
				pipe := &conformPipe{}
				return &conformServer{
					sink: func() (Sink, error) { return NewStdout(StdoutConfig{Format: format}, pipe) },
					holds: func(a *processor.Alert) held {
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						if format == "json" {
							return conformRecords(recordsOf(t, pipe.text.Bytes(), a), a)
						}
						return conformPrinted(pipe.text.String(), a)
					},
					inject: func(f fault) bool {
						if f.status != http.StatusServiceUnavailable {
							return false // it answers nothing, so nothing can be lost
						}
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						pipe.faults = append(pipe.faults, f)
						return true
					},
					bodies: func() []string {
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						return pipe.writes
					},
				}
			}})
		})
	}
}

// conformPrinted is what stands on a terminal: alerts that each end in a line
// with the time, the step and the exposure.
func conformPrinted(text string, of *processor.Alert) (h held) {
	var shown strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		shown.WriteString(line)
		words := strings.Fields(line)
		if !strings.HasPrefix(line, margin) || len(words) < 3 || !strings.HasSuffix(words[1], "Z") {
			continue
		}
		whole := shown.String()
		shown.Reset()
		if of.Exposure != nil && words[len(words)-1] != *of.Exposure || of.Exposure == nil && words[2] != string(of.Step) {
			continue
		}
		h.texts = append(h.texts, whole)
		h.cases = 1
		if !seen[whole] {
			seen[whole] = true
			h.notes++
			h.state = conformState(h.state, exposure.Step(words[2]))
		}
	}
	return h
}

func TestKafkaConforms(t *testing.T) {
	everyKafka(t, func(t *testing.T, fake *kfake.Cluster, seeds []string) {
		conforms(t, conformant{start: func(t *testing.T) *conformServer {
			topic := kafkaTopic(t, seeds, 4, nil)
			return &conformServer{
				sink: func() (Sink, error) {
					return newKafka(KafkaConfig{Topic: topic}, []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(20 * time.Millisecond)}, 10*time.Second)
				},
				holds: func(a *processor.Alert) held { return conformRecords(kafkaRecords(t, seeds, topic, a), a) },
				inject: func(f fault) bool {
					if fake == nil || f.status != http.StatusServiceUnavailable {
						return false // what else a broker does wrong the client gets over, or is in a test of its own
					}
					fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.PolicyViolation, Count: 1})
					return true
				},
				bodies: func() []string { return nil },
			}
		}})
	})
}

// kafkaRecords reads the topic to its end, for the alerts of one exposure.
func kafkaRecords(t *testing.T, seeds []string, topic string, of *processor.Alert) (records []*processor.Alert) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	for read := int64(0); read < want; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d alerts, want %d", read, want)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			records = append(records, recordsOf(t, append(r.Value, '\n'), of)...)
		})
	}
	return records
}
