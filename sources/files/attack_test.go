package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A long document whose end is there is read although its file never rests.
func TestFollowLongDocumentInBusyFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "trail.log")
	long := fmt.Sprintf("{\"a\":%q}\n", strings.Repeat("x", documentBytes+batchBytes))
	addTo(t, log, "{\"n\":0}\n"+long+"{\"n\":1}\n")
	r := startFollow(t, nil, []string{log}, func(f *Source, _ *sourcetest.Inbox) { f.settle = time.Hour })
	r.once("{\"n\":0}\n", long, "{\"n\":1}\n")
}

// What follows a long line is read although the line is no JSON, of which only the
// first bytes are read.
func TestFollowBehindLongWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "trail.log")
	addTo(t, log, strings.Repeat("x", documentBytes+batchBytes)+"\n{\"n\":1}\n")
	r := startFollow(t, nil, []string{log}, func(_ *Source, x *sourcetest.Inbox) { x.Head = 3 })
	r.once("xxx", "{\"n\":1}\n")
}

// Where a log was cut off and its writer went on at its own place, a hole precedes the
// next line.
func TestFollowBehindHole(t *testing.T) {
	for _, hole := range []int64{100, documentBytes + batchBytes, 3 * turnBytes} {
		log := filepath.Join(t.TempDir(), "trail.log")
		f, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("{\n\"n\":1}\n{\"n\":2}\n"), hole); err != nil {
			t.Fatal(err)
		}
		r := startFollow(t, nil, []string{log})
		r.once("{\n\"n\":1}\n", "{\"n\":2}\n")
		r.end()
	}
}
