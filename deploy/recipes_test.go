package deploy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Each program of the recipes sends a record that becomes an alert, about the user
// named after the program, over the envelope that the recipe names.
func TestRecipesArrive(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "cloudtrail"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("cloudtrail"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	dir, address := t.TempDir(), sourcetest.FreeAddress()
	const secret = "a-token-that-nobody-guesses"
	token, alerts, config := filepath.Join(dir, "token"), filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.yaml")
	text := fmt.Sprintf(`
sources:
  pipeline: {type: http, address: %q, token_files: [%q]}
  topic: {type: kafka, brokers: [%q], topics: [cloudtrail]}
sinks: {alerts: {type: file, path: %q}}
journal: {path: %q}
http: {address: "127.0.0.1:0"}
`, address, token, cluster.ListenAddrs()[0], alerts, filepath.Join(dir, "journal.db"))
	for path, content := range map[string]string{token: secret, config: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := start(t, binary, "run", "-c", config)

	sent, err := filepath.Glob("recipes/*/sent.http")
	if err != nil || len(sent) < 7 {
		t.Fatalf("%d recipes, %v", len(sent), err)
	}
	for _, path := range sent {
		header, body := recipe(t, path)
		if header.Get("X-Carrier") == "kafka" {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: body}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for name, values := range header {
			header[name] = []string{strings.ReplaceAll(values[0], "TOKEN", secret)}
		}
		post(t, "http://"+address+"/", header, body, said)
	}
	delivered := map[string]int{}
	for deadline := time.Now().Add(patience); len(delivered) < len(sent) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		clear(delivered)
		lines, _ := os.ReadFile(alerts)
		for line := range bytes.Lines(lines) {
			var a struct{ User, Step string }
			if json.Unmarshal(line, &a) == nil && a.Step == "opened" {
				delivered[a.User]++
			}
		}
	}
	for _, path := range sent {
		if name := filepath.Base(filepath.Dir(path)); delivered[name] != 1 {
			t.Errorf("%d alerts of what %s sends, want one", delivered[name], name)
		}
	}
}

// recipe reads headers, and a body behind an empty line.
func recipe(t *testing.T, path string) (http.Header, []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(text))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header(header), bytes.TrimSuffix(body, []byte("\n"))
}

// post posts once the service listens, and wants 200.
func post(t *testing.T, url string, header http.Header, body []byte, said func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		response, err := http.DefaultClient.Do(r)
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, said())
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("answered %d: %s", response.StatusCode, text)
		}
		return
	}
}
