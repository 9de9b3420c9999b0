package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

const backupPath = "/api/v1/journal/backup"

// Backup writes a copy of the journal, as it is at one moment.
func (a *Admin) Backup(_ context.Context, w io.Writer) error {
	journals := a.journals()
	if len(journals) != 1 {
		return refused{http.StatusConflict, "the journal lies in a Kafka cluster; copy it with mfawatch journal copy"}
	}
	return journals[0].Backup(w)
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
		plain(w, http.StatusInternalServerError, err.Error()+"\n")
	}
}

// A startedWriter remembers whether anything was written.
type startedWriter struct {
	w   io.Writer
	any bool
}

func (s *startedWriter) Write(b []byte) (int, error) {
	s.any = true
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
