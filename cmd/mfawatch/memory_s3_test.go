package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// A scan of a bucket stays small: of large objects, and of as many small ones as
// it reads concurrently.
func TestMemoryOfScanOfABucket(t *testing.T) {
	const (
		concurrent = 64 // objects of a bucket are fetched
		small      = 256 << 10
	)
	objects := 2 * concurrent
	if trailtest.Whole() {
		objects = 4 * concurrent
	}
	binary := builtBinary(t)
	s := awstest.New()
	defer s.Close()
	object := append(trailtest.New(3).Object(4000, 1000), '\n')
	member := trailtest.Gzip(object)
	less := trailtest.Gzip(append(trailtest.New(4).Object(1200, 1000), '\n'))
	if len(member) <= small || len(less) > small {
		t.Fatalf("%d and %d bytes are not large and small", len(member), len(less))
	}
	var read sync.WaitGroup
	read.Add(objects)
	for n := range objects {
		var once sync.Once
		body := member
		if n%4 > 0 {
			body = less
		}
		s.PutStream("logs", fmt.Sprintf("%d.json.gz", n), "e", int64(len(body)), func() io.Reader {
			return io.MultiReader(bytes.NewReader(body), finally{func() { once.Do(read.Done) }})
		})
	}
	// One object comes to its end when the rest is read and the peak is known.
	measured := make(chan struct{})
	s.PutStream("logs", "last.json", "e", 2, func() io.Reader {
		return io.MultiReader(finally{func() { <-measured }}, strings.NewReader("{}"))
	})
	cmd := exec.Command(binary, "scan", "--format", "json", "s3://logs")
	cmd.Env = os.Environ()
	for name, value := range s3Settings(s.URL) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read.Wait()
	most := peak(t, cmd.Process.Pid)
	close(measured)
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), fmt.Sprintf("%d files, ", objects+1)) {
		t.Errorf("%v\n%s", err, said.String())
	}
	t.Logf("%d MiB resident at the peak, %d objects in %s", most>>20, objects, time.Since(began).Round(time.Millisecond))
	if most > memoryBound {
		t.Errorf("%d MiB resident at the peak, want at most %d", most>>20, memoryBound>>20)
	}
}

// finally is an empty reader that calls a function first.
type finally struct{ f func() }

func (r finally) Read([]byte) (int, error) {
	r.f()
	return 0, io.EOF
}
