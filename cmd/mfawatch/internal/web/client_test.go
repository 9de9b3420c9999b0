package web

import (
	"io"
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

// An answer without an end is given up: it may come from a program that joined the
// group of the replicas.
func TestEndlessAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, `{"next":"`)
		for piece := strings.Repeat("x", 1<<20); err == nil; {
			_, err = io.WriteString(w, piece)
		}
	}))
	defer server.Close()
	client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ListExposures(t.Context(), ExposureFilter{}); err == nil || !strings.Contains(err.Error(), "it is larger than 64 MiB") {
		t.Errorf("an answer: %v", err)
	}
	err = client.ListDeadLetters(t.Context(), Selection{}, func(DeadLetter) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "it is larger than 64 MiB") {
		t.Errorf("a list: %v", err)
	}
	// A replica that merges the lists of others reads no more of each.
	for _, err := range decoded[DeadLetter]("replica-2", strings.NewReader(`{"sink":"`+strings.Repeat("x", maxAnswer))) {
		if err == nil || !strings.Contains(err.Error(), "read the list of replica-2: it is larger than 64 MiB") {
			t.Errorf("a list of another replica: %v", err)
		}
	}
}
