package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

const backupPath = "/api/v1/journal/backup"

// Backup writes a copy of the journal, as it is at one moment.
func (a *Admin) Backup(_ context.Context, w io.Writer) error {
	journals := a.journals()
	if len(journals) != 1 {
		return refused{http.StatusConflict, "the journal lies in a Kafka cluster; copy it with mfawatch journal copy"}
	}
	err := journals[0].Backup(w)
	if errors.Is(err, store.ErrBackup) {
		return refused{http.StatusConflict, err.Error()}
	}
	return err
}

// serveBackup answers with the copy. An error after its beginning breaks the
// connection off, so that a client takes no part for the whole.
func (a *Admin) serveBackup(w http.ResponseWriter, r *http.Request) {
	started := &startedWriter{w: w}
	w.Header().Set("Content-Type", "application/octet-stream")
	switch err := a.Backup(r.Context(), started); {
	case err == nil:
	case started.any:
		panic(http.ErrAbortHandler)
	default:
		answer(w, nil, err)
	}
}

// backupPatience bounds how long a client may take to read a part of a backup. The
// whole takes as long as the journal is large.
const backupPatience = time.Minute

// A startedWriter remembers whether anything was written.
type startedWriter struct {
	w   http.ResponseWriter
	any bool
}

func (s *startedWriter) Write(b []byte) (int, error) {
	s.any = true
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(backupPatience)) // not supported in tests: not needed
	return s.w.Write(b)
}

// Backup is Admin.Backup over HTTP.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, backupPath, nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	return nil
}
