package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A writer of a folder who replaces a file with a pipe, between a look at
// the file and its opening, holds up nothing.
func TestPipeInThePlaceOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.json")
	if err := mkfifo(path); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no named pipes here")
	} else if err != nil {
		t.Fatal(err)
	}
	try := func(who string) {
		if _, err := looksReadable(path); err == nil {
			t.Errorf("%s: the pipe was read to see what it is", who)
		}
		if err := new(follower).readOn(&followed{path: path}); err == nil {
			t.Errorf("%s: the pipe was followed", who)
		}
		source, err := New("disk", Config{Paths: []string{path}}, sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		if err := source.read(t.Context(), File{path, true}, sourcetest.NewInbox().Handle); err == nil {
			t.Errorf("%s: the pipe was delivered", who)
		}
	}
	try("without a writer")
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	try("with one that writes nothing")
}
