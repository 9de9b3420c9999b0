package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// Objects of 50 MB compressed, eight concurrently, take no more memory than small
// ones do: they are streams. MFAWATCH_TEST_LARGE says how many there are.
func TestMemoryOfS3(t *testing.T) {
	const bound = 256 << 20
	objects, compressed := 8, 35_000_000 // more than the bound, too
	if trailtest.Whole() {
		objects, compressed = 16, 50_000_000
	}
	if n := os.Getenv("MFAWATCH_TEST_LARGE"); n != "" {
		compressed = 50_000_000
		if _, err := fmt.Sscan(n, &objects); err != nil || objects < 8 {
			t.Fatalf("MFAWATCH_TEST_LARGE: want a number from 8 on, got %q", n)
		}
	}
	binary := builtBinary(t)
	server := awstest.New()
	defer server.Close()

	// Compressed just enough: what is inflated decides how long it takes.
	var member bytes.Buffer
	z, err := gzip.NewWriterLevel(&member, gzip.HuffmanOnly)
	if err != nil {
		t.Fatal(err)
	}
	object := append(trailtest.New(3).Object(2000, 1000), '\n')
	_, _ = z.Write(object) // into memory
	_ = z.Close()
	times := compressed/member.Len() + 1
	for i := range objects {
		key := fmt.Sprintf("AWSLogs/large-%d.json.gz", i)
		server.PutStream("trail", key, "same", int64(times*member.Len()), func() io.Reader {
			parts := make([]io.Reader, times)
			for i := range parts {
				parts[i] = bytes.NewReader(member.Bytes())
			}
			return io.MultiReader(parts...)
		})
		server.Send(`{"s3Bucket":"trail","s3ObjectKey":["` + key + `"]}`)
	}

	dir := t.TempDir()
	v := &lossVictim{hook: newKillHook(t, 1), binary: binary, config: filepath.Join(dir, "mfawatch.yaml")}
	text := fmt.Sprintf(`
sources: {trail: {type: s3, queue_url: %q, access_key_id: AKIATEST, secret_access_key: test, concurrency: 8}}
sinks: {hook: {type: webhook, secrets: [%s]}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
`, awstest.QueueURL, killSecret, filepath.Join(dir, "mfawatch.db"))
	if err := os.WriteFile(v.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := v.start(t, server, 0)
	p.waitUntil(t, 10*time.Minute, func() bool { return server.Left() == 0 })
	took := time.Since(began)
	most := peak(t, p.cmd.Process.Pid)
	p.end(t)
	t.Logf("%d MiB resident at the peak, %d objects of %s, %s inflated, in %s", most>>20, objects, output.ByteSize(int64(times*member.Len())),
		output.ByteSize(int64(objects*times*len(object))), took.Round(time.Millisecond))
	if most > bound {
		t.Errorf("%d MiB resident at the peak, want at most %d", most>>20, bound>>20)
	}
	if left := server.Left(); left > 0 || strings.Contains(p.log.String(), "level=WARN") {
		t.Errorf("%d left\n%s", left, p.log.String())
	}
}
