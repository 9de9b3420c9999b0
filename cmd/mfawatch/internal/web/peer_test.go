package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// A signed request opens the API to another replica that knows the token, for the
// replica that it names, and no other request.
func TestSignature(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	const token = "a-token-of-some-length"
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"by":"ann"}`)
	for _, f := range []struct {
		name   string
		change func(r *http.Request)
		want   int
	}{
		{"as it was signed", func(*http.Request) {}, http.StatusNoContent},
		{"another replica", func(r *http.Request) { r.Header.Set(replicaHeader, "b") }, http.StatusUnauthorized},
		{"another method", func(r *http.Request) { r.Method = http.MethodDelete }, http.StatusUnauthorized},
		{"another path", func(r *http.Request) { r.URL.Path = "/api/v1/deadletters" }, http.StatusUnauthorized},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "all=true" }, http.StatusUnauthorized},
		{"another body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"by":"eve"}`)) }, http.StatusUnauthorized},
		{"another token", func(r *http.Request) { sign(r, "some-other-token-of-length", "a", body) }, http.StatusUnauthorized},
		{"no signature", func(r *http.Request) { r.Header.Set("Authorization", signedScheme) }, http.StatusUnauthorized},
		{"an old one", func(r *http.Request) {
			at := fmt.Sprint(time.Now().Add(-2 * signedAge).Unix())
			r.Header.Set("Authorization", signedScheme+at+" "+signature(token, "a", r.Method, r.URL.RequestURI(), at, body))
		}, http.StatusUnauthorized},
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/exposures/x/close?a=b", strings.NewReader(string(body)))
		r.Header.Set(replicaHeader, "a")
		sign(r, token, "a", body)
		f.change(r)
		w := httptest.NewRecorder()
		accessTo(config.HTTPConfig{Address: "0.0.0.0:9464", TokenFile: path}).guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != string(body) {
				t.Errorf("%s: body %q, %v", f.name, got, err)
			}
			w.WriteHeader(http.StatusNoContent)
		})).ServeHTTP(w, r)
		if w.Code != f.want {
			t.Errorf("%s: %d %s, want %d", f.name, w.Code, w.Body, f.want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	sign(r, "", "a", nil)
	if (access{config: func() config.HTTPConfig { return config.HTTPConfig{} }}).signed(r) {
		t.Error("a signature with no token is valid")
	}
}
