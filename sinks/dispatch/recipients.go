package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks"
)

// channel returns the sink for recipients. A sink without recipients to choose
// sends to its own.
func (w *Worker) channel(to []string) (sinks.Sink, error) {
	if _, ok := w.sink.(sinks.Addressable); !ok || len(to) == 0 {
		return w.sink, nil
	}
	to, err := readRecipients(to)
	if err != nil {
		return nil, sinks.Misconfigured(err)
	}
	key := strings.Join(to, "\x00")
	if w.addressed[key] == nil {
		s, err := address(w.sink, to)
		if err != nil {
			return nil, sinks.Misconfigured(err)
		}
		w.addressed[key] = s
	}
	return w.addressed[key], nil
}

// Address returns the sink for recipients in place of its own. It returns an error
// if the sink accepts none, or not these.
func Address(s sinks.Sink, recipients []string) (sinks.Sink, error) {
	to, err := readRecipients(recipients)
	if err != nil {
		return nil, err
	}
	return address(s, to)
}

func address(s sinks.Sink, to []string) (sinks.Sink, error) {
	sink, ok := s.(sinks.Addressable)
	if !ok {
		return nil, errors.New("recipients: this sink has none to choose")
	}
	other, err := sink.To(to)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	return other, nil
}

// recipientFile is the prefix of a recipient that is read from a file.
const recipientFile = "file:"

// readRecipients returns the recipients of a list: one such as
// file:/run/secrets/pager-key is read from that file each time.
func readRecipients(list []string) ([]string, error) {
	to := slices.Clone(list)
	for i, r := range list {
		path, ok := strings.CutPrefix(r, recipientFile)
		if !ok {
			continue
		}
		var err error
		if to[i], err = secret.ReadFile("recipients", path); err != nil {
			return nil, err
		}
	}
	return to, nil
}
