package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The answer of the service is shown whole, since its end says what to do. It cannot
// steer the terminal.
func TestClientShowsTheAnswer(t *testing.T) {
	const answer = "refused: other machines can reach http.address; set http.admin: true to allow all of them, or listen on 127.0.0.1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusForbidden, answer+"\x1b[2J\n")
	}))
	defer server.Close()
	client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DropDeadLetters(t.Context(), Selection{All: true})
	if err == nil || !strings.HasPrefix(err.Error(), answer) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %q", err)
	}
}
