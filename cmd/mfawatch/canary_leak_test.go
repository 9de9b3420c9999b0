package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// Nothing that can be wrong with a secret in the configuration shows it.
func TestCanaryMistakes(t *testing.T) {
	k := newCanaries(t)
	c := newCanaryConfig(t, k, "http://127.0.0.1:1", "127.0.0.1:1", 1)
	c.runs(exitDone, "check", "-c", c.path)
	broken := filepath.Join(filepath.Dir(c.path), "broken.yaml")
	try := func(what, text string) {
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		code := run(t.Context(), []string{"check", "-c", broken}, strings.NewReader(""), &said, &said, nil)
		k.found(what, said.String())
		if code != exitUsage && code != exitDone {
			t.Errorf("%s: exit code %d\n%s", what, code, said.String())
		}
	}
	tried := 0
	for section, entries := range map[string]object{"sources": c.sources, "sinks": c.sinks} {
		for name, entry := range entries {
			good := object{"sources": object{"local": object{"type": "files", "paths": []any{"x"}}}, "sinks": object{"console": object{"type": "stdout"}}}
			good[section] = object{name: entry}
			text, err := yaml.Marshal(good)
			if err != nil {
				t.Fatal(err)
			}
			for what, text := range k.mistakes(string(text)) {
				tried++
				try(section+"."+name+"."+what, text)
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d mistakes were tried", tried)
	}
	for variable, value := range map[string]string{
		"MFAWATCH_SINKS__CHAT__TOKEN":             "wrong " + k.value("sinks.slack.token"),
		"MFAWATCH_SINKS__HOOK__SECRETS":           k.value("sinks.webhook.secrets"),
		"MFAWATCH_SINKS__PAGER__ROUTING_KEY":      k.value("sinks.pagerduty.routing_key") + "x",
		"MFAWATCH_SINKS__HOOK__URL":               "ftp://" + k.value("sinks.webhook.url"),
		"MFAWATCH_SINKS__CHAT__TOKEN__" + "OTHER": k.value("sinks.slack.token"),
	} {
		var said bytes.Buffer
		code := run(t.Context(), []string{"check", "-c", c.path}, strings.NewReader(""), &said, &said, []string{variable + "=" + value})
		k.found(variable, said.String())
		if code != exitUsage {
			t.Errorf("%s: exit code %d\n%s", variable, code, said.String())
		}
	}
}

// secretLine is a key with its value, or an item of a list.
var secretLine = regexp.MustCompile(`(?m)^( +)(?:([A-Za-z_-]+): |- )(.+)$`)

// mistakes are the ways to get a line of a configuration wrong that has a secret
// in it. Where the secret stands instead of a name, of a key or of a file,
// it is shown: the message cannot name the mistake without it.
func (k *canaries) mistakes(good string) map[string]string {
	all := map[string]string{}
	for _, m := range secretLine.FindAllStringSubmatchIndex(good, -1) {
		start, value := good[m[0]:m[6]], good[m[6]:m[7]]
		if !k.holds(value) {
			continue
		}
		key, change := "-", func(what, line string) { all[what] = good[:m[0]] + line + good[m[1]:] }
		if m[4] >= 0 {
			key = good[m[4]:m[5]]
			change(key+" misspelt", good[m[2]:m[3]]+key+"x: "+value)
			change(key+" without colon", good[m[2]:m[3]]+key+" "+value)
			change(key+" called a file", good[m[2]:m[3]]+key+"_file: ["+value+"]")
		}
		for what, line := range map[string]string{
			"a list":           "[" + value + ", " + value + "]",
			"a map":            "{a: " + value + "}",
			"two of them":      value + " " + value,
			"a control letter": "\"" + value + "\\x07\"",
			"an open quote":    "\"" + value,
			"an alias":         "*" + value,
			"an anchor":        "&" + value + " *b",
			"a tag":            "!" + value + " x",
			"an open map":      "{" + value,
			"a directive":      "%" + value,
			"a colon":          value + ": " + value,
			"a URL":            "https://u:" + value + "@[::1/" + value,
			"another scheme":   "ftp://" + value,
		} {
			change(key+" as "+what, start+line)
		}
		change(key+" behind a tab", "\t"+start+value)
	}
	return all
}

// holds reports whether a text shows a secret.
func (k *canaries) holds(text string) bool {
	lower := strings.ToLower(text)
	for value := range k.fields {
		if strings.Contains(lower, value) {
			return true
		}
	}
	return false
}

// A channel's answers, however they repeat our secrets, reveal them nowhere.
func TestCanaryInWhatChannelsAnswer(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	k, g := newCanaries(t), newGossip(t)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer secure.Close()
	plain := strings.TrimPrefix(g.URL, "http://")
	c := newCanaryConfig(t, k, g.URL, plain, newGossipMail(t))
	c.withoutKafka()
	for i := range gossips {
		g.next.Store(int64(i))
		said := c.runs(exitFailed, "test-alert", "-c", c.path, "--resolve")
		if n := strings.Count(said, "NOT delivered"); n < 5 {
			t.Errorf("answer %d: %d sinks were not notified\n%s", i, n, said)
		}
	}
	for what, site := range map[string]string{
		"a certificate that nobody vouches for": secure.URL,
		"TLS to who has none":                   "https://" + plain,
		"no TLS to who wants it":                "http://" + strings.TrimPrefix(secure.URL, "https://"),
		"nobody there":                          "http://" + sourcetest.FreeAddress(),
	} {
		c := newCanaryConfig(t, k, site, strings.TrimPrefix(secure.URL, "https://"), 1)
		if said := c.runs(exitFailed, "test-alert", "-c", c.path); strings.Count(said, "NOT delivered") < 20 {
			t.Errorf("%s: %s", what, said)
		}
	}
}

// A said collects the output of a process while it runs.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A service for which everything goes wrong shows no secret: in no log, metric,
// page, answer, dead letter or file.
func TestCanaryInAService(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	k, g := newCanaries(t), newGossip(t)
	g.each.Store(true)
	c := newCanaryConfig(t, k, g.URL, strings.TrimPrefix(g.URL, "http://"), newGossipMail(t))
	address := sourcetest.FreeAddress()
	c.write(c.text(address))
	now := time.Now().UTC().Add(-time.Minute)
	record := func(name, actor, user, more string) string {
		now = now.Add(time.Second)
		return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":%q,"accountId":"111122223333"},"eventTime":%q,"eventSource":"iam.amazonaws.com",`+
			`"eventName":%q,"awsRegion":"us-east-1","requestParameters":{"userName":%q,"serialNumber":"arn:aws:iam::111122223333:mfa/%s"},"responseElements":null,"eventID":"%s-%s-%d"%s}`+"\n",
			actor, now.Format(time.RFC3339), name, user, user, name, user, now.Unix(), more)
	}
	records := record("DeactivateMFADevice", "alice", "bob", "") + record("DeactivateMFADevice", "alice", "carol", "") +
		record("DeactivateMFADevice", "mallory", "dan", `,"errorCode":"AccessDenied","errorMessage":"no"`) + record("EnableMFADevice", "carol", "carol", "") +
		`{"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","eventTime":"never"}` + "\n"
	if err := os.WriteFile(c.trail, []byte(records), 0o600); err != nil {
		t.Fatal(err)
	}

	var stdout, stderr said
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"run", "-c", c.path}, strings.NewReader(""), &stdout, &stderr, nil) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("exit code %d", code)
		}
	})
	defer stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	ask := func(method, url, token, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, ""
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		k.found(method+" "+url, fmt.Sprint(answer.Header)+string(text))
		return answer.StatusCode, string(text)
	}
	base := "http://" + address
	waitFor := func(what string, done func() bool) {
		t.Helper()
		waiting, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := every(waiting, 20*time.Millisecond, func() (bool, error) { return done(), nil }); err != nil {
			t.Fatalf("waited in vain for %s\n%.6000s", what, stderr.String())
		}
	}
	dead := func() map[string]bool {
		_, text := ask("GET", base+"/api/v1/deadletters", "", "")
		names := map[string]bool{}
		for _, m := range regexp.MustCompile(`"sink":"([a-z-]+)"`).FindAllStringSubmatch(text, -1) {
			names[m[1]] = true
		}
		return names
	}
	waitFor("dead letters of many sinks", func() bool { return len(dead()) >= 8 })
	waitFor("every answer", func() bool { return g.asked.Load() > int64(3*len(gossips)) })

	// The door: senders with the token, and senders without it.
	door, token := "http://"+c.door+"/", k.value("sources.http.tokens")
	for _, f := range []struct {
		token, body string
		status      int
	}{
		{"", records, 401}, {"not-" + token, records, 401}, {token, "no json", 400}, {token, records, 200},
		{k.value("sources.http.token_files"), records, 200},
	} {
		if status, text := ask("POST", door, f.token, f.body); status != f.status {
			t.Errorf("post to the door: %d %s, want %d", status, text, f.status)
		}
	}

	// A reload with mistakes, one that cannot be built, and a file that is gone.
	text := string(c.text(address))
	for _, broken := range []string{
		strings.Replace(text, "xoxb-", "", 1),
		strings.Replace(text, "routing_key:", "routingkey:", 1),
		strings.ReplaceAll(text, "token: ", "token: ["),
		strings.Replace(text, c.log, filepath.Join(c.log, "none"), 1),
	} {
		c.write([]byte(broken))
		if status, answer := ask("POST", base+"/-/reload", "", ""); status/100 == 2 {
			t.Errorf("the broken configuration is taken: %d %s", status, answer)
		}
	}
	c.write([]byte(text))
	if status, answer := ask("POST", base+"/-/reload", "", ""); status != 200 {
		t.Errorf("reload: %d %s", status, answer)
	}

	c.runs(exitDone, "check", "-c", c.path)
	c.runs(exitDone, "deadletters", "list", "-c", c.path)
	c.runs(exitDone, "quarantine", "list", "-c", c.path)
	for _, what := range []string{"deadletters", "quarantine"} {
		_, list := ask("GET", base+"/api/v1/"+what, "", "")
		var first struct {
			ID    string
			Alert struct{ ID string }
		}
		if err := json.NewDecoder(strings.NewReader(list)).Decode(&first); err != nil {
			t.Errorf("%s: %v %.300s", what, err, list)
			continue
		}
		c.runs(exitDone, what, "show", "--address", address, first.ID+first.Alert.ID)
		if what == "deadletters" {
			c.runs(exitDone, what, "drop", "--address", address, first.Alert.ID)
		}
	}
	c.runs(exitDone, "deadletters", "retry", "--all", "--address", address)
	c.runs(exitFailed, "quarantine", "retry", "--all", "--address", address)
	c.runs(exitDone, "routes", "-c", c.path)
	readable := filepath.Join(t.TempDir(), "trail.jsonl")
	if err := os.WriteFile(readable, []byte(records[:strings.LastIndex(records, `{"eventSource"`)]), 0o600); err != nil {
		t.Fatal(err)
	}
	c.runs(exitDone, "explain", "-c", c.path, readable)
	for _, name := range []string{"chat", "pager", "now", "desk", "mail-plain", "text", "hook", "kafka-plain"} {
		c.runs(exitDone, "render", "-c", c.path, "--sink", name, readable)
	}
	_, first := ask("GET", base+"/", "", "")
	for _, m := range regexp.MustCompile(`href="(/exposures/[^"]+)"`).FindAllStringSubmatch(first, -1) {
		if status, _ := ask("GET", base+m[1], "", ""); status != 200 {
			t.Errorf("%s: %d", m[1], status)
		}
	}
	if _, metrics := ask("GET", base+"/metrics", "", ""); !strings.Contains(metrics, `mfawatch_config_reloads_total{result="refused"} 4`) {
		t.Errorf("four configurations were refused:\n%s", metrics)
	}
	ask("GET", base+"/readyz", "", "")
	waitFor("dead letters that were sent again", func() bool { return len(dead()) > 0 })
	stop()

	k.found("standard output", stdout.String())
	k.found("the log", stderr.String())
	for _, f := range []struct{ what, path, but string }{
		{"the file of alerts", c.log, ""}, {"the journal", filepath.Join(filepath.Dir(c.path), "mfawatch.db"), recipients},
	} {
		text, err := os.ReadFile(f.path)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", f.what, len(text), err)
		}
		k.found(f.what, string(text), f.but)
	}
}
