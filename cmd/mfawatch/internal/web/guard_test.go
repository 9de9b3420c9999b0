package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

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
			guarded(func() bool { return !f.closed }, passed).ServeHTTP(w, r)
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
			if got := adminOpen(config.HTTPConfig{Address: address, Admin: admin}); got != (want || admin) {
				t.Errorf("http.address %q, http.admin %v: open is %v", address, admin, got)
			}
		}
	}
}
