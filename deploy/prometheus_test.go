package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/awstest"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// patience is how long a test waits for what has to come.
const patience = 2 * time.Minute

func TestPrometheusRules(t *testing.T) {
	trailtest.Long(t, 4)
	tool(t, "promtool", "check", "rules", "prometheus/rules.yaml")
	tool(t, "promtool", "test", "rules", "prometheus/rules_test.yaml")
}

// The runbook's address is a variable of the build of the rules.
func TestRulesWithAnotherRunbook(t *testing.T) {
	const page, own = "https://github.com/mfawatch/mfawatch/blob/main/deploy/prometheus/runbook.md", "https://wiki.example.net/x?a=1&b=2"
	rules, err := os.ReadFile("prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{"": string(rules), own: strings.ReplaceAll(string(rules), page, own)} {
		c := exec.Command("prometheus/rules.sh")
		c.Env = append(os.Environ(), "RUNBOOK_URL="+url)
		if out, err := c.Output(); err != nil || string(out) != want {
			t.Errorf("%q: %v\n%s", url, err, out)
		}
	}
	if n := strings.Count(string(rules), "- alert: "); n == 0 || strings.Count(string(rules), "runbook_url: "+page+"#mfawatch") != n {
		t.Errorf("%d rules, and other links", n)
	}
}

func TestEveryRuleHasItsRunbookSection(t *testing.T) {
	runbook, err := os.ReadFile("prometheus/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range ruleExpressions(t) {
		names = append(names, name)
		if !strings.Contains(string(runbook), "\n## "+name+"\n") {
			t.Errorf("the runbook has no section %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## (Mfawatch\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("the runbook has a section %s, which is no rule", m[1])
		}
	}
}

// ruleExpressions are the rules' expressions by their names.
func ruleExpressions(t *testing.T) map[string]expression {
	t.Helper()
	text, err := os.ReadFile("prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]expression{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = expression{r.Expr, mentioned(ruleLabel, r.Annotations["summary"])}
		}
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}

// An expression is a query, with the labels that the text beside it refers to.
type expression struct {
	query  string
	labels []string
}

var (
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
	ruleLabel   = regexp.MustCompile(`\$labels\.(\w+)`)
)

func mentioned(label *regexp.Regexp, text string) (all []string) {
	for _, m := range label.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// panelExpressions are the dashboard's expressions by the titles of their
// panels, with the variables as they are when all is chosen.
func panelExpressions(t *testing.T) map[string]expression {
	t.Helper()
	text, err := os.ReadFile("grafana/mfawatch.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ Expr, RefID, LegendFormat string }
	type panel struct {
		Title   string
		Targets []target
		Panels  []panel // of a collapsed row
	}
	var board struct{ Panels []panel }
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	all := map[string]expression{}
	chosen := strings.NewReplacer("$job", ".*", "$instance", ".*", "$account", ".*", "$sink", ".*", "$__rate_interval", "15s", "$__range", "1m")
	panels := board.Panels
	for _, p := range board.Panels {
		panels = append(panels, p.Panels...)
	}
	for _, p := range panels {
		for _, target := range p.Targets {
			name := fmt.Sprintf("%s (%s)", p.Title, target.RefID)
			if _, twice := all[name]; twice {
				t.Errorf("two panels %s", name)
			}
			all[name] = expression{chosen.Replace(target.Expr), mentioned(legendLabel, target.LegendFormat)}
		}
	}
	if len(all) == 0 {
		t.Fatal("no panels")
	}
	return all
}

// Every expression of the dashboard and the rules gives a series from a real
// Prometheus that scrapes a service at work, with the labels that legends and
// annotations refer to; and the rules fire about what is wrong with the service.
func TestExpressionsAgainstPrometheus(t *testing.T) {
	trailtest.Long(t, 13)
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("prometheus is not on this machine; CI has it")
	}
	b := newBusy(t)
	api := startPrometheus(t, b.metrics, b.shared)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go b.work(ctx)

	expressions := panelExpressions(t)
	for name, expr := range ruleExpressions(t) {
		expressions["rule "+name] = expression{quiet(expr.query), expr.labels}
	}
	for len(expressions) > 0 && ctx.Err() == nil {
		for name, expr := range expressions {
			found, err := series(ctx, api, expr.query)
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
				delete(expressions, name)
			}
			for _, label := range expr.labels {
				if len(found) > 0 && found[0].labels[label] == "" {
					t.Errorf("%s: the series %v has no label %s: %s", name, found[0].labels, label, expr.query)
				}
			}
			if len(found) > 0 {
				delete(expressions, name)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second): // the interval at which Prometheus scrapes
		}
	}
	for name, expr := range expressions {
		t.Errorf("%s gives no series: %s", name, expr.query)
	}
	for alert, labels := range map[string]map[string]string{
		"MfawatchDeadLetters": {"severity": "critical", "job": "mfawatch", "sink": "refusing"},
		"MfawatchUnreadable":  {"severity": "warning", "job": "mfawatch"}, // for a minute: it may be pending
	} {
		labels["__name__"], labels["alertname"] = "ALERTS", alert
		found, err := series(ctx, api, fmt.Sprintf("ALERTS{alertname=%q}", alert))
		for _, f := range found {
			delete(f.labels, "alertstate")
		}
		if err != nil || len(found) != 1 || !maps.Equal(found[0].labels, labels) || found[0].value != 1 {
			t.Errorf("%s: got %v, %v, want %v", alert, found, err, labels)
		}
	}
	for query, want := range map[string]float64{
		`mfawatch_sink_up{sink="log"}`:                                          1,
		`mfawatch_source_up{source="trail"}`:                                    1,
		`sum(mfawatch_config_last_reload_successful)`:                           2,
		`count(mfawatch_source_last_delivery_timestamp_seconds > time() - 600)`: 5,
		`sum(mfawatch_shards_owned)`:                                            3,
		`mfawatch_shards`:                                                       3,
		`count(mfawatch_shard_changelog_lag == 0)`:                              3,
		`count(mfawatch_shard_last_commit_timestamp_seconds > time() - 600)`:    3,
		`mfawatch_shard_transactions_total{result="committed"} > bool 10`:       1,
		`mfawatch_shard_restore_duration_seconds_count`:                         3,
	} {
		if found, err := series(ctx, api, query); err != nil || len(found) != 1 || found[0].value != want {
			t.Errorf("%s: got %v, %v, want %v", query, found, err, want)
		}
	}
}

// quiet is a rule's expression without what it is compared with, which gives
// series also where all is well. Windows are those of a test.
func quiet(expr string) string {
	expr = regexp.MustCompile(`\[(1h|15m|5m)\]`).ReplaceAllString(expr, "[15s]")
	if strings.HasPrefix(expr, "absent(") {
		return "mfawatch_build_info"
	}
	return regexp.MustCompile(` (==|>|<) [0-9.]+( |$)`).ReplaceAllString(expr, "$2")
}

// A sample is one series at one time.
type sample struct {
	labels map[string]string
	value  float64
}

// series returns what an expression gives now, without series that are no number.
func series(ctx context.Context, api, expr string) ([]sample, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var found []sample
	for _, s := range answer.Data.Result {
		text, _ := s.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(value) {
			found = append(found, sample{s.Metric, value})
		}
	}
	return found, nil
}

// A busy service reads a topic, a bucket, a folder and what is posted, where
// something happens all the time, and notifies sinks of which one throttles and one
// refuses. A replica with a shared journal reads the topic, too.
type busy struct {
	t       *testing.T
	client  *kgo.Client
	bucket  *awstest.Server
	folder  string
	door    string // host:port
	metrics string // host:port
	shared  string // host:port of a replica with a shared journal
}

func newBusy(t *testing.T) *busy {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "cloudtrail"), kfake.SeedTopics(1, "alerts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("cloudtrail"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var asked atomic.Int64
	throttles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1)%3 == 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(throttles.Close)
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }))
	t.Cleanup(refuses.Close)

	bucket := awstest.New()
	t.Cleanup(bucket.Close)
	dir, folder := t.TempDir(), t.TempDir()
	config := filepath.Join(dir, "mfawatch.yaml")
	address, door := sourcetest.FreeAddress(), sourcetest.FreeAddress()
	text := fmt.Sprintf(`
sources:
  trail: {type: kafka, brokers: [%q], topics: [cloudtrail]}
  bucket:
    type: s3
    queue_url: %q
    endpoint: %q
    region: us-east-1
    access_key_id: AKIDEXAMPLE
    secret_access_key: nothing-to-hide
    retry: {min: 1s}
  folder: {type: files, paths: [%q], follow: true}
  door: {type: http, address: %q}
sinks:
  log: {type: file, path: %q}
  slow: {type: webhook, url: %q, concurrency: 2}
  refusing: {type: webhook, url: %q}
journal: {path: %q}
http: {address: %q}
escalate_after: [2s, 10s]
enrollers: [{actor: alice}]
planned_changes: [{account: "111122223333", user: leaver-*, until: 2030-01-01T00:00:00Z, approver: carol, ticket: T-1}]
routes: [{match: {severity: high}}]
`, cluster.ListenAddrs()[0], awstest.QueueURL, bucket.URL, folder, door, filepath.Join(dir, "alerts.jsonl"), throttles.URL, refuses.URL, filepath.Join(dir, "journal.db"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, binary, "run", "-c", config)
	shared, replica := sourcetest.FreeAddress(), filepath.Join(dir, "replica.yaml")
	text = fmt.Sprintf(`
sources: {events: {type: kafka, brokers: [%[1]q], topics: [cloudtrail], group: replicas}}
sinks: {topic: {type: kafka, brokers: [%[1]q], topic: alerts}}
journal: {type: kafka, brokers: [%[1]q], path: %[2]q, partitions: 3, replication: 1}
http: {address: %[3]q}
`, cluster.ListenAddrs()[0], filepath.Join(dir, "cache"), shared)
	if err := os.WriteFile(replica, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, binary, "run", "-c", replica)
	return &busy{t: t, client: client, bucket: bucket, folder: folder, door: door, metrics: address, shared: shared}
}

// work publishes what happens: noise, removals, a device enabled again, an
// exposure that is exploited, and rubbish.
func (b *busy) work(ctx context.Context) {
	noise := trailtest.New(1)
	for n := 0; ctx.Err() == nil; n++ {
		user := fmt.Sprintf("user-%d", n)
		var values []string
		for range 20 {
			values = append(values, string(noise.Record()))
		}
		values = append(values, happened("DeactivateMFADevice", user, n))
		if n > 3 {
			values = append(values, happened("EnableMFADevice", fmt.Sprintf("user-%d", n-3), n))
		}
		if n%5 == 0 {
			values = append(values, happened("CreateAccessKey", user, n), `{"eventName":"DeactivateMFADevice","eventSource":"iam.amazonaws.com","eventTime":"never"}`, "\x1f\x8bno gzip")
		}
		for _, v := range values {
			b.client.Produce(ctx, kgo.StringRecord(v), nil)
		}
		b.elsewhere(ctx, noise, n)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second / 2):
		}
	}
}

// elsewhere delivers by the other ways: an object and its notification, now
// and then of one that is not there, a line of a file, and a post.
func (b *busy) elsewhere(ctx context.Context, noise *trailtest.Maker, n int) {
	key := fmt.Sprintf("AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/111122223333_CloudTrail_us-east-1_20260501T0805Z_%016d.json.gz", n)
	if n%5 != 4 {
		b.bucket.Put("trail", key, trailtest.Gzip(noise.Object(8, 8)))
	}
	b.bucket.Send(fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"ObjectCreated:Put",`+
		`"s3":{"bucket":{"name":"trail"},"object":{"key":%q,"size":4096}}}]}`, key))
	file, err := os.OpenFile(filepath.Join(b.folder, "trail.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Error(err)
		return
	}
	defer file.Close()
	if _, err := file.Write(append(noise.Record(), '\n')); err != nil {
		b.t.Error(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.door+"/", bytes.NewReader(noise.Record()))
	if err != nil {
		b.t.Error(err)
		return
	}
	if response, err := http.DefaultClient.Do(r); err == nil { // else it does not listen yet
		response.Body.Close()
	}
}

func happened(name, user string, n int) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"},`+
		`"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":%q,"awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli",`+
		`"requestParameters":{"userName":%q,"serialNumber":"arn:aws:iam::111122223333:mfa/%s"},"responseElements":null,"eventID":"%s-%s-%d","recipientAccountId":"111122223333"}`,
		time.Now().UTC().Format(time.RFC3339), name, user, user, name, user, n)
}

// startPrometheus starts a Prometheus that scrapes targets each second, and
// returns its URL.
func startPrometheus(t *testing.T, targets ...string) string {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs("prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: mfawatch, static_configs: [{targets: [%s]}]}]\n", rules, strings.Join(targets, ", "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := sourcetest.FreeAddress()
	said := start(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	api := "http://" + address
	for deadline := time.Now().Add(patience); ; {
		if found, err := series(t.Context(), api, "mfawatch_build_info"); err == nil && len(found) > 0 {
			return api
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus does not scrape:\n%s", said())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// start runs a program until the test ends, and returns a function that returns its output so far.
func start(t *testing.T, name string, args ...string) (said func() string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		file.Close()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), tail(log))
		}
	})
	return func() string { return tail(log) }
}

func tail(path string) string {
	text, _ := os.ReadFile(path)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-30):], []byte("\n")))
}
