package httpin

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sync/semaphore"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

const doorToken = "door-test-token-1"

// openDoor runs an HTTP source until the test ends, and returns its address.
func openDoor(t *testing.T, c Config, h processor.Handler, set ...func(*Source)) (*Source, string) {
	t.Helper()
	c.Address = "127.0.0.1:0"
	s, err := New("disk", c, sources.Options{Logger: sourcetest.Log(t), Registerer: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	sourcetest.Eventually(t, func() bool { return s.Ready() == nil }, func() string { return "it does not listen" })
	return s, (*s.address.Load()).String()
}

// post sends a body with headers, Name: value.
func post(t *testing.T, url string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func gzipped(text string) string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func zlibbed(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func zstandard(t *testing.T, text string, opts ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// A sender's body comes to the handler as it was, and is answered 200 with
// nothing in it.
func TestTakes(t *testing.T) {
	const records = "[{\"message\":\"{\\\"eventName\\\":1}\"},{\"message\":\"x\"}]"
	const lines = "{\"message\":1}\n{\"message\":2}\n"
	x := sourcetest.NewInbox()
	_, at := openDoor(t, Config{}, x.Handle)
	for name, tt := range map[string]struct {
		body, want string
		headers    []string
	}{
		"Vector, JSON":               {records, records, []string{"Content-Type: application/json"}},
		"Vector, gzip":               {gzipped(lines), lines, []string{"Content-Encoding: gzip", "Content-Type: application/x-ndjson"}},
		"Vector, zstd":               {zstandard(t, records), records, []string{"Content-Encoding: zstd"}},
		"Vector, zlib":               {zlibbed(records), records, []string{"Content-Encoding: deflate"}},
		"Fluent Bit, JSON":           {records, records, []string{"Content-Type: application/json", "User-Agent: Fluent-Bit"}},
		"Fluent Bit, json_lines":     {gzipped(lines), lines, []string{"Content-Encoding: gzip", "Content-Type: application/x-ndjson"}},
		"gzip without a header":      {gzipped(records), records, nil},
		"gzip in several members":    {gzipped("[1,") + gzipped("2]"), "[1,2]", nil},
		"zstd without a header":      {zstandard(t, records), records, nil},
		"zstd in several frames":     {zstandard(t, "[1,") + zstandard(t, "2]"), "[1,2]", []string{"Content-Encoding: zstd"}},
		"said to be gzip, and plain": {records, records, []string{"Content-Encoding: gzip"}},
		"gzip in zstd":               {zstandard(t, gzipped(records)), records, []string{"Content-Encoding: gzip, zstd"}},
		"base64":                     {"eyJhIjoxfQ==", "eyJhIjoxfQ==", nil},
		"with a mark in front":       {"\ufeff {}", "\ufeff {}", nil},
		"nothing":                    {"", "", nil},
		"CloudTrail says hello":      {"CloudTrail validation message.", "CloudTrail validation message.", nil},
	} {
		x.Parts = nil
		answer, text := post(t, "http://"+at+"/any/path", strings.NewReader(tt.body), tt.headers...)
		if answer.StatusCode != http.StatusOK || text != "" {
			t.Errorf("%s: %s %q", name, answer.Status, text)
		}
		if want := "http://127.0.0.1 " + tt.want; !slices.Equal(x.All(), []string{want}) {
			t.Errorf("%s: got %q, want %q", name, x.All(), want)
		}
	}
}

// A request that can never be read is refused, and never taken for durable.
func TestRefuses(t *testing.T) {
	const most, mostInflated = 1 << 20, 4 << 20
	big := "[" + strings.Repeat(" ", most) + "]"
	bomb := strings.Repeat("\"aaaaaaaaaaaaaaa", mostInflated/16+1)
	x := sourcetest.NewInbox()
	s, at := openDoor(t, Config{}, x.Handle, func(s *Source) { s.body, s.inflated = most, mostInflated })
	random := gzipped(strings.Repeat("{\"a\":\"0123\"}\n", 5000))
	for name, tt := range map[string]struct {
		body    io.Reader
		status  int
		text    string
		result  string
		headers []string
	}{
		"words":                  {strings.NewReader("<html>"), 400, "the body is neither JSON nor gzip or zstd of that", resultUnreadable, nil},
		"words in gzip":          {strings.NewReader(gzipped("hello")), 400, "the body is neither JSON", resultUnreadable, nil},
		"cut gzip":               {strings.NewReader(random[:len(random)-20]), 400, "the body is damaged: inflate: truncated data: unexpected EOF", resultUnreadable, nil},
		"damaged gzip":           {strings.NewReader(random[:40] + "damage" + random[46:]), 400, "the body is damaged", resultUnreadable, nil},
		"gzip with a tail":       {strings.NewReader(random + "tail"), 400, "the body is damaged", resultUnreadable, nil},
		"zstd with no bound":     {strings.NewReader(zstandard(t, strings.Repeat("{\"a\":\"0123\"}\n", 1<<20), zstd.WithWindowSize(32<<20))), 400, "the body is damaged: decompressed size exceeds configured limit", resultUnreadable, nil},
		"gzip in gzip and so on": {strings.NewReader(gzipped(gzipped(gzipped(gzipped("{}"))))), 400, "compressed more than 3 times", resultUnreadable, nil},
		"brotli":                 {strings.NewReader("{}"), 415, `Content-Encoding "br" is not read; want gzip or zstd`, resultUnreadable, []string{"Content-Encoding: br"}},
		"large":                  {strings.NewReader(big), 413, "the body is larger than 64 MiB", resultTooLarge, nil},
		"large, in chunks":       {io.MultiReader(strings.NewReader(big)), 413, "the body is larger than 64 MiB", resultTooLarge, nil},
		"a bomb":                 {strings.NewReader(gzipped(bomb)), 413, "the body inflates to more than 256 MiB", resultTooLarge, nil},
		"a bomb in zlib":         {strings.NewReader(zlibbed(bomb)), 413, "the body inflates to more than 256 MiB", resultTooLarge, nil},
	} {
		before := testutil.ToFloat64(s.metrics.requests.WithLabelValues(tt.result))
		answer, text := post(t, "http://"+at, tt.body, tt.headers...)
		if answer.StatusCode != tt.status || !strings.Contains(text, tt.text) || answer.Header.Get("Retry-After") != "" {
			t.Errorf("%s: %s %q", name, answer.Status, text)
		}
		if n := testutil.ToFloat64(s.metrics.requests.WithLabelValues(tt.result)) - before; n != 1 {
			t.Errorf("%s: counted %v as %s", name, n, tt.result)
		}
	}
	if len(x.Parts) > 0 {
		t.Errorf("taken: %.100q", x.Parts)
	}
	answer, err := http.Get("http://" + at)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s", answer.Status)
	}
	answer, err = http.Get("http://" + at + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("GET /healthz: %s", answer.Status)
	}
}

// A sender that goes away in the middle has not had its records taken.
func TestCutOff(t *testing.T) {
	x := sourcetest.NewInbox()
	s, at := openDoor(t, Config{}, x.Handle)
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{\"a\":1}")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	aborted := s.metrics.requests.WithLabelValues(resultAborted)
	sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(aborted) == 1 }, func() string { return "it is not counted" })
	if len(x.All()) > 0 {
		t.Errorf("taken: %q", x.All())
	}
}

// A request that cannot be journalled, or not now, is asked for again.
func TestRetryLater(t *testing.T) {
	x := sourcetest.NewInbox()
	x.Fail = func(n int) error {
		if n == 1 {
			return errors.New("disk full")
		}
		return nil
	}
	hold, held := make(chan struct{}), make(chan struct{})
	s, at := openDoor(t, Config{}, func(ctx context.Context, d processor.Delivery) error {
		err := x.Handle(ctx, d)
		if x.N == 3 {
			close(held)
			<-hold
		}
		return err
	}, func(s *Source) { s.budget, s.acquireTimeout = semaphore.NewWeighted(minReserve), time.Millisecond })
	url := "http://" + at
	answer, text := post(t, url, strings.NewReader("{}"))
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "5" || text != "the records could not be journalled; send them again\n" {
		t.Errorf("%s %q", answer.Status, text)
	}
	if answer, _ := post(t, url, strings.NewReader("{}")); answer.StatusCode != 200 {
		t.Errorf("again: %s", answer.Status)
	}
	first := make(chan int)
	go func() {
		answer, err := http.Post(url, "", strings.NewReader("{}"))
		if err != nil {
			first <- -1
			return
		}
		_ = answer.Body.Close()
		first <- answer.StatusCode
	}()
	<-held
	answer, text = post(t, url, strings.NewReader("{}"))
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "2" || text != "the memory budget for requests is used up\n" {
		t.Errorf("without room: %s %q", answer.Status, text)
	}
	if n := testutil.ToFloat64(s.metrics.held); n != minReserve {
		t.Errorf("%v bytes held", n)
	}
	if answer, text := post(t, url, strings.NewReader(gzipped("{}"))); answer.StatusCode != 503 || text != "the memory budget for requests is used up\n" {
		t.Errorf("gzip without room: %s %q", answer.Status, text)
	}
	close(hold)
	if status := <-first; status != 200 {
		t.Errorf("the one that had the room: %d", status)
	}
	for result, want := range map[string]float64{resultTaken: 2, resultFailed: 1, resultBusy: 2} {
		counter := s.metrics.requests.WithLabelValues(result)
		sourcetest.Eventually(t, func() bool { return testutil.ToFloat64(counter) == want },
			func() string {
				return fmt.Sprintf("%s: %v counted, want %v", result, testutil.ToFloat64(counter), want)
			})
	}
	if n := testutil.ToFloat64(s.metrics.held); n != 0 {
		t.Errorf("%v bytes held at the end", n)
	}
}

// At the end a request that is being handled is finished and answered.
func TestGracefulEnd(t *testing.T) {
	s, err := New("disk", Config{Address: "127.0.0.1:0"}, sources.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	running, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- s.Run(ctx, func(context.Context, processor.Delivery) error {
			close(running)
			<-finish
			return nil
		})
	}()
	sourcetest.Eventually(t, func() bool { return s.Ready() == nil }, func() string { return "it does not listen" })
	at := (*s.address.Load()).String()
	answered := make(chan string)
	go func() {
		answer, err := http.Post("http://"+at, "", strings.NewReader("{}"))
		if err != nil {
			answered <- err.Error()
			return
		}
		_ = answer.Body.Close()
		answered <- answer.Status
	}()
	<-running
	cancel()
	sourcetest.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, func() string { return "it still listens" })
	close(finish)
	if got := <-answered; got != "200 OK" {
		t.Errorf("answered %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := New("disk", Config{Address: l.Addr().String()}, sources.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is used by another program; choose another port") {
		t.Errorf("got %v", err)
	}
}

// A token is found wherever a sender can put it, and nothing else is admitted.
func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("door-test-token-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := sourcetest.NewInbox()
	_, at := openDoor(t, Config{Tokens: []string{doorToken, "door-test-token-0"}, TokenFiles: []string{file}}, x.Handle)
	url := "http://" + at
	for header, want := range map[string]int{
		"Authorization: Bearer " + doorToken:                200,
		"Authorization: bearer  " + doorToken:               200,
		"Authorization: " + doorToken:                       200,
		"Authorization: Basic OmRvb3ItdGVzdC10b2tlbi0x":     200, // :door-test-token-1
		"Authorization: Basic c25zOmRvb3ItdGVzdC10b2tlbi0x": 200, // sns:door-test-token-1
		"X-Amz-Firehose-Access-Key: " + doorToken:           200,
		"X-Api-Key: " + doorToken:                           200,
		"X-Whatever-EventBridge-Sends: door-test-token-0":   200,
		"X-Api-Key: door-test-token-2":                      200,
		"X-Api-Key: door-test-token-3":                      401,
		"Authorization: Bearer " + doorToken + "1":          401,
		"Authorization: Bearer":                             401,
		"Authorization: Basic !":                            401,
		"Authorization: Digest " + doorToken:                401,
		"X-Api-Key: ":                                       401,
		"X-Amz-Sns-Message-Type: Notification":              401,
	} {
		answer, text := post(t, url, strings.NewReader("{}"), header)
		if answer.StatusCode != want {
			t.Errorf("%s: %s %s", header, answer.Status, text)
		}
		if asked := slices.Contains(answer.Header.Values("WWW-Authenticate"), `Basic realm="mfawatch"`); asked != (want == 401) {
			t.Errorf("%s: asks for it: %v", header, asked)
		}
	}
	if len(x.Parts) != 9 {
		t.Errorf("%d taken", len(x.Parts))
	}
	// A file's token is replaced under its name; without any, no sender is
	// admitted.
	if err := os.WriteFile(file, []byte("door-test-token-4"), 0o600); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"door-test-token-2": 401, "door-test-token-4": 200} {
		if answer, _ := post(t, url, strings.NewReader("{}"), "X-Api-Key: "+token); answer.StatusCode != want {
			t.Errorf("%s after the change: %s", token, answer.Status)
		}
	}
	_, alone := openDoor(t, Config{TokenFiles: []string{file}}, x.Handle)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if answer, _ := post(t, "http://"+alone, strings.NewReader("{}"), "X-Api-Key: door-test-token-4"); answer.StatusCode != 503 {
		t.Errorf("without the file: %s", answer.Status)
	}
}

// Without a token, a page in a browser on this machine is kept out.
func TestWebPage(t *testing.T) {
	x := sourcetest.NewInbox()
	_, at := openDoor(t, Config{}, x.Handle)
	for header, want := range map[string]int{
		"Origin: https://evil.example":  403,
		"Sec-Fetch-Site: cross-site":    403,
		"Sec-Fetch-Site: same-origin":   200,
		"User-Agent: Fluent-Bit":        200,
		"Host: evil.example":            403,
		"Host: localhost:9465":          200,
		"Host: [::1]:9465":              200,
		"Host: door.internal.example:1": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %s", header, answer.Status)
		}
	}
}

// Firehose's requests and answers, in the form that AWS publishes.
func TestFirehose(t *testing.T) {
	const id = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
	const body = `{"requestId":"` + id + `","timestamp":1578090901599,"records":[{"data":"aGVsbG8="},{"data":""}]}`
	x := sourcetest.NewInbox()
	x.Fail = func(n int) error {
		if n == 3 {
			return errors.New("disk full")
		}
		return nil
	}
	_, at := openDoor(t, Config{Tokens: []string{doorToken}}, x.Handle, func(s *Source) { s.body = 1 << 20 })
	headers := []string{
		"X-Amz-Firehose-Protocol-Version: 1.0", "X-Amz-Firehose-Request-Id: " + id, "Content-Type: application/json",
		"X-Amz-Firehose-Source-Arn: arn:aws:firehose:us-east-1:123456789:deliverystream/testStream",
		"X-Amz-Firehose-Common-Attributes: {\"commonAttributes\":{\"a\":\"" + strings.Repeat("x", 60_000) + "\"}}",
	}
	key := "X-Amz-Firehose-Access-Key: " + doorToken
	for _, tt := range []struct {
		name    string
		body    string
		status  int
		message string
		more    []string
	}{
		{"plain", body, 200, "", []string{key}},
		{"gzip", gzipped(body), 200, "", []string{key, "Content-Encoding: gzip"}},
		{"not journalled", body, 503, "the records could not be journalled; send them again", []string{key}},
		{"wrong key", body, 401, "want one of the source's tokens, such as Authorization: Bearer TOKEN", []string{key + "x"}},
		{"damaged", gzipped(body)[:30], 400, "the body is damaged: inflate: truncated data: unexpected EOF", []string{key, "Content-Encoding: gzip"}},
		{"too large", "[" + strings.Repeat(" ", 1<<20) + "]", 413, "the body is larger than 64 MiB", []string{key}},
	} {
		before := time.Now().UnixMilli()
		answer, text := post(t, "http://"+at, strings.NewReader(tt.body), append(slices.Clone(headers), tt.more...)...)
		var got struct {
			RequestID    string
			Timestamp    int64
			ErrorMessage *string
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %s %q: %v", tt.name, answer.Status, text, err)
		}
		message := ""
		if got.ErrorMessage != nil {
			message = *got.ErrorMessage
		}
		if answer.StatusCode != tt.status || got.RequestID != id || message != tt.message || got.Timestamp < before {
			t.Errorf("%s: %s %s", tt.name, answer.Status, text)
		}
		if h := answer.Header; h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != strconv.Itoa(len(text)) || h.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v", tt.name, h)
		}
	}
	if want := "firehose://" + id + " " + body; !slices.Equal(x.All(), []string{want, want}) {
		t.Errorf("got %q", x.All())
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	ca := newTestCA(t)
	cert, key := ca.files(t, dir, "127.0.0.1")
	const open = " can be reached from other machines, which could post forged records; set tokens or token_files, or tls.client_ca_file; or listen on 127.0.0.1"
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{DefaultConfig(), ""},
		{Config{Address: "[::1]:1"}, ""},
		{Config{Address: "localhost:1"}, ""},
		{Config{Address: ":9465", Tokens: []string{doorToken}}, ""},
		{Config{Address: ":9465", TLS: TLS{cert, key, ca.file(t, dir)}}, ""},
		{Config{Address: ":9465"}, "address: :9465" + open},
		{Config{Address: "10.0.0.1:9465", TLS: TLS{CertFile: cert, KeyFile: key}}, "address: 10.0.0.1:9465" + open},
		{Config{Address: "9465"}, `address: want host:port such as 127.0.0.1:9465, got "9465"`},
		{Config{Address: "127.0.0.1:https"}, `address: want host:port such as 127.0.0.1:9465, got "127.0.0.1:https"`},
		{Config{Address: "127.0.0.1:1", Tokens: []string{"short", "with white space in it"}, TokenFiles: []string{"/none"}},
			"tokens[0]: want 16 to 4096 characters without white space (it is not shown, since it is a secret)\n" +
				"tokens[1]: want 16 to 4096 characters without white space (it is not shown, since it is a secret)\n" +
				"token_files[0]: open /none: no such file or directory"},
		{Config{Address: "127.0.0.1:1", TLS: TLS{CertFile: cert}}, "tls.key_file: missing; want the key of tls.cert_file, in PEM"},
		{Config{Address: "127.0.0.1:1", TLS: TLS{ClientCAFile: cert}}, "tls.cert_file: missing; want the certificate to be shown, in PEM"},
		{Config{Address: "127.0.0.1:1", TLS: TLS{cert, key, key}}, "tls.client_ca_file: no certificate in PEM in " + key},
	} {
		got := ""
		if err := tt.c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", tt.c, got, tt.want)
		}
	}
}

// A part that the processor inflates has the bound of bodies that this source inflates.
func TestArchivesHaveTheBoundOfBodies(t *testing.T) {
	const most = 1 << 20
	got := make(chan int64, 1)
	_, at := openDoor(t, Config{}, func(_ context.Context, d processor.Delivery) error {
		for p, err := range d.Parts {
			if _, read := io.Copy(io.Discard, p.Body); err != nil || read != nil {
				return errors.Join(err, read)
			}
			got <- p.MaxInflated
		}
		return nil
	}, func(s *Source) { s.inflated = most })
	archive := "PK\x03\x04" + strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		body string
		want int64
	}{"zip": {archive, most}, "zip in gzip": {gzipped(archive), most}, "plain": {"{}", 0}} {
		if answer, text := post(t, "http://"+at, strings.NewReader(c.body)); answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", name, answer.StatusCode, text)
		}
		if n := <-got; n != c.want {
			t.Errorf("%s: bound %d, want %d", name, n, c.want)
		}
	}
}
