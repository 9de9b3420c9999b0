package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

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

// serveBackup answers with the copy; HEAD copies nothing.
func (a *Admin) serveBackup(w http.ResponseWriter, r *http.Request) {
	s, err := &stream{w: w, kind: "application/octet-stream"}, error(nil)
	if r.Method != http.MethodHead {
		err = a.Backup(r.Context(), s)
	}
	s.end(err)
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
