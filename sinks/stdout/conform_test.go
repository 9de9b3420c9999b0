package stdout

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A pipe is the other end of a Stdout: it may break off.
type conformPipe struct {
	mu     sync.Mutex
	text   bytes.Buffer
	faults []sinktest.Fault
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

func TestConforms(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			sinktest.Run(t, sinktest.Channel{People: format == "text", Copies: map[string]string{"text": "a terminal has no key"}[format], Start: func(t *testing.T) *sinktest.Server {
				pipe := &conformPipe{}
				return &sinktest.Server{
					Sink: func() (sinks.Sink, error) { return New(Config{Format: format}, message.Wording{}, pipe) },
					Holds: func(a *processor.Alert) sinktest.Held {
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						if format == "json" {
							return sinktest.HeldRecords(sinktest.Records(t, pipe.text.Bytes(), a), a)
						}
						return conformPrinted(pipe.text.String(), a)
					},
					Inject: func(f sinktest.Fault) bool {
						if f.Status != http.StatusServiceUnavailable {
							return false // it answers nothing, so nothing can be lost
						}
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						pipe.faults = append(pipe.faults, f)
						return true
					},
					Bodies: func() []string {
						pipe.mu.Lock()
						defer pipe.mu.Unlock()
						return pipe.writes
					},
				}
			}})
		})
	}
}

// conformPrinted is the text on a terminal: alerts that each end in a line with
// the time, the step and the exposure.
func conformPrinted(text string, of *processor.Alert) (h sinktest.Held) {
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
		h.Texts = append(h.Texts, whole)
		h.Cases = 1
		if !seen[whole] {
			seen[whole] = true
			h.Notes++
			h.State = sinktest.State(h.State, exposure.Step(words[2]))
		}
	}
	return h
}

func TestCampaign(t *testing.T) {
	a := message.SampleAlert()
	a.Step, a.User, a.Root = exposure.StepCampaign, nil, true
	a.Users = &exposure.AlertUsers{Count: 3, Open: 2, Names: []string{"bob", "e\u202eve"}}
	if s := new(Sink).subject(a); !strings.Contains(s, "campaign  000000000000  3 users") {
		t.Errorf("subject %q", s)
	}
}
