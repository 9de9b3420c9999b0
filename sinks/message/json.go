package message

import (
	"bytes"
	"encoding/json"

	"github.com/mfawatch/mfawatch/processor"
)

// JSON is the alert as one line of JSON, with its newline: the same bytes in
// every machine-readable place. <, > and & stay as they are.
func JSON(a *processor.Alert) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
