package sinks

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

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

func TestStdoutCampaign(t *testing.T) {
	a := SampleAlert()
	a.Step, a.User, a.Root = exposure.Campaign, nil, true
	a.Users = &exposure.AlertUsers{Count: 3, Open: 2, Names: []string{"bob", "e\u202eve"}}
	if s := subject(a); !strings.Contains(s, "campaign  000000000000  3 users") {
		t.Errorf("subject %q", s)
	}
}
