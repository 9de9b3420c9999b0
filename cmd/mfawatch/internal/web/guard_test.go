package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/secret"
)

// accessTo is the access to the server at http.address.
func accessTo(c config.HTTPConfig) access {
	return access{func() config.HTTPConfig { return c }, func() bool { return secret.Loopback(c.Address) }}
}

func TestGuard(t *testing.T) {
	passed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, f := range []struct {
		name    string
		closed  bool
		method  string
		host    string
		headers map[string]string
		refusal string // "" passes
	}{
		{name: "a command", host: "localhost"},
		{name: "curl", host: "127.0.0.1:9464"},
		{name: "curl -X POST", method: "POST", host: "[::1]:9464"},
		{name: "an address alone", host: "::1"},
		{name: "the address bar", host: "localhost:9464", headers: map[string]string{"Sec-Fetch-Site": "none"}},
		{name: "a page of ours", method: "POST", host: "localhost:9464", headers: map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:9464"}},
		{name: "open to nobody", closed: true, host: "localhost", refusal: "http.admin: true"},
		{name: "another page reads", host: "localhost:9464", headers: map[string]string{"Sec-Fetch-Site": "cross-site"}, refusal: "another site"},
		{name: "another port's page", host: "localhost:9464", headers: map[string]string{"Sec-Fetch-Site": "same-site"}, refusal: "another site"},
		{name: "an old browser", method: "DELETE", host: "localhost:9464", headers: map[string]string{"Origin": "http://evil.example"}, refusal: "another site"},
		{name: "a sandboxed page", method: "POST", host: "localhost:9464", headers: map[string]string{"Origin": "null"}, refusal: "another site"},
		{name: "DNS rebinding", method: "POST", host: "evil.example:9464", headers: map[string]string{"Sec-Fetch-Site": "same-origin"}, refusal: "Host header"},
		{name: "a name that looks like ours", host: "localhost.evil.example", refusal: "Host header"},
		{name: "an address in a name", host: "127.0.0.1.evil.example:9464", refusal: "Host header"},
		{name: "no host", host: "", refusal: "Host header"},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.method == "" {
				f.method = "GET"
			}
			r := httptest.NewRequest(f.method, "/api/v1/deadletters", nil)
			r.Host = f.host
			for name, value := range f.headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			accessTo(config.HTTPConfig{Admin: !f.closed}).guard(passed).ServeHTTP(w, r)
			if f.refusal == "" && w.Code != http.StatusNoContent {
				t.Errorf("refused: %s", w.Body)
			}
			if f.refusal != "" && (w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), f.refusal)) {
				t.Errorf("%d %q, want a refusal with %q", w.Code, w.Body, f.refusal)
			}
		})
	}
}

func TestAdminIsForThisMachine(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:9464": true, "127.8.0.1:1": true, "[::1]:9464": true, "localhost:9464": true, "[::ffff:127.0.0.1]:1": true,
		":9464": false, "0.0.0.0:9464": false, "[::]:9464": false, "192.0.2.1:9464": false, "mfawatch.example:9464": false, "": false,
	} {
		for _, admin := range []bool{false, true} {
			if got := accessTo(config.HTTPConfig{Address: address, Admin: admin}).open(); got != (want || admin) {
				t.Errorf("http.address %q, http.admin %v: open is %v", address, admin, got)
			}
		}
	}
}

// The token of http.token_file opens the API whatever the address, under any Host;
// nothing else does.
func TestToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "a-token-of-some-length"
	passed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, f := range []struct {
		name, file, address, header, host string
		want                              int
	}{
		{"shown", good + "\n", "0.0.0.0:9464", "Bearer " + good, "mfawatch.mfawatch.svc:9464", 204},
		{"renewed in its file", "another-token-of-some-length", "0.0.0.0:9464", "Bearer " + good, "localhost", 401},
		{"not shown", good, "0.0.0.0:9464", "", "localhost", 403},
		{"not shown, under a foreign name", good, "127.0.0.1:9464", "", "evil.example", 403},
		{"on loopback none is needed", good, "127.0.0.1:9464", "", "localhost", 204},
		{"a wrong one is refused on loopback, too", good, "127.0.0.1:9464", "Bearer wrong-token-of-some-length", "localhost", 401},
		{"as a password", good, "0.0.0.0:9464", "Basic " + good, "localhost", 403},
		{"a part of it", good, "0.0.0.0:9464", "Bearer " + good[:20], "localhost", 401},
		{"empty", good, "0.0.0.0:9464", "Bearer ", "localhost", 401},
		{"an empty file", "", "0.0.0.0:9464", "Bearer ", "localhost", 401},
		{"too short to be one", "short", "0.0.0.0:9464", "Bearer short", "localhost", 401},
	} {
		write(f.file)
		r := httptest.NewRequest("POST", "/api/v1/deadletters/retry", nil)
		r.Host = f.host
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if f.header != "" {
			r.Header.Set("Authorization", f.header)
		}
		w := httptest.NewRecorder()
		accessTo(config.HTTPConfig{Address: f.address, TokenFile: path}).guard(passed).ServeHTTP(w, r)
		if w.Code != f.want || strings.Contains(w.Body.String(), good) {
			t.Errorf("%s: %d %s, want %d", f.name, w.Code, w.Body, f.want)
		}
	}
	r := httptest.NewRequest("GET", "/api/v1/deadletters", nil)
	r.Header.Set("Authorization", "Bearer "+good)
	w := httptest.NewRecorder()
	if accessTo(config.HTTPConfig{Address: "0.0.0.0:9464"}).guard(passed).ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("a token where none is configured: %d", w.Code)
	}
}

// A browser takes no answer for another kind of file than it says.
func TestNoAnswerIsSniffed(t *testing.T) {
	p := running(t, deactivation(hostileUser))
	paths := []string{"/", "/exposures/" + p.Journal().Open()[0].ID, "/exposures/none", "/deadletters", "/quarantine", "/metrics", "/healthz", "/readyz", "/none", "/-/reload", "/api/v1/none"}
	for _, r := range append((&Admin{}).routes(), append(board{}.routes(), (&query{}).shardsRoute())...) {
		if path, isGet := strings.CutPrefix(r.pattern, "GET "); isGet {
			paths = append(paths, path, path+"?wrong=%")
		}
	}
	for _, path := range paths {
		for _, host := range []string{"", "attacker.example"} {
			if _, h, _ := browse(t, p, host, path); h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s at host %q: %v", path, host, h)
			}
		}
	}
}
