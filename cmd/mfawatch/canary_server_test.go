package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A gossip is a server that does everything wrong, and repeats whatever it was
// notified while it does.
type gossip struct {
	*httptest.Server
	next  atomic.Int64 // which answer
	each  atomic.Bool  // another one for every request
	asked atomic.Int64
}

func newGossip(t *testing.T) *gossip {
	g := new(gossip)
	g.Server = httptest.NewServer(http.HandlerFunc(g.answer))
	t.Cleanup(g.Close)
	return g
}

// heard is all that a request says, also without the base64 around it.
func heard(r *http.Request) string {
	dump, _ := httputil.DumpRequest(r, true)
	text := string(dump)
	if user, password, ok := r.BasicAuth(); ok {
		text = user + ":" + password + " " + text
	}
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		text = token + " " + text
	}
	return text
}

// gossips holds its answers, in turn.
var gossips = func() []func(w http.ResponseWriter, r *http.Request, heard string) {
	type answer = func(w http.ResponseWriter, r *http.Request, heard string)
	var all []answer
	for _, status := range []int{200, 400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 503} {
		all = append(all, func(w http.ResponseWriter, _ *http.Request, heard string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(object{"ok": false, "error": heard, "errors": []any{heard}, "status": "invalid event", "message": heard, "detail": heard,
				"description": heard, "code": 20003, "__type": "com.amazonaws.sqs#AccessDenied", "Message": heard})
		})
	}
	for _, status := range []int{200, 401, 429, 500} {
		all = append(all, func(w http.ResponseWriter, _ *http.Request, heard string) {
			w.Header().Set("Content-Type", "text/html; "+oneLine(heard, 200))
			w.Header().Set("Retry-After", oneLine(heard, 200))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html><title>"+heard+"</title><h1>"+heard)
		})
	}
	all = append(all, func(w http.ResponseWriter, _ *http.Request, heard string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(object{"error": object{"message": heard, "detail": heard, "title": heard}, "details": object{"base": []any{object{"description": heard, "error": heard}}}, "result": []any{object{"sys_id": heard}}})
	}, func(w http.ResponseWriter, _ *http.Request, heard string) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", strings.NewReplacer("<", "", "&", "").Replace(heard))
	}, func(w http.ResponseWriter, _ *http.Request, heard string) {
		w.Header().Set("Location", "/"+oneLine(heard, 1000))
		w.WriteHeader(http.StatusFound)
	}, func(w http.ResponseWriter, _ *http.Request, heard string) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = io.WriteString(w, heard) // and no more
	}, func(w http.ResponseWriter, _ *http.Request, heard string) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, strings.Repeat(" ", 190)+heard) // cut within
	})
	for _, raw := range []string{"", "HTTP/1.1 401 %s\r\nContent-Length: 0\r\n\r\n", "%s", "HTTP/1.1 %s\r\n\r\n", "HTTP/1.1 200 OK\r\n%s\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"} {
		all = append(all, func(w http.ResponseWriter, _ *http.Request, heard string) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			if raw == "" {
				_ = c.(*net.TCPConn).SetLinger(0) // reset
				return
			}
			fmt.Fprintf(c, raw, oneLine(heard, 2000))
		})
	}
	return all
}()

func oneLine(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), most)]
}

func (g *gossip) answer(w http.ResponseWriter, r *http.Request) {
	text := heard(r)
	n := g.next.Load()
	if g.each.Load() {
		n = g.next.Add(1)
	}
	g.asked.Add(1)
	gossips[int(n)%len(gossips)](w, r, text)
}

// newGossipMail starts a mail server that refuses at each step in turn, and says
// its input. It returns its port.
func newGossipMail(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	var turn atomic.Int64
	talks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				gossipMail(c, int(turn.Add(1)))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		talks.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

func gossipMail(c net.Conn, turn int) {
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	refuse := []string{"AUTH", "MAIL", "RCPT", "DATA", "."}[turn%5]
	code := []string{"535 5.7.8", "454 4.7.0", "550 5.7.1", "421 4.3.0"}[turn/5%4]
	lines := bufio.NewScanner(c)
	var received []string
	next := func() bool {
		if !lines.Scan() {
			return false
		}
		received = append(received, lines.Text())
		for _, word := range strings.Fields(lines.Text()) {
			if text, err := base64.StdEncoding.DecodeString(word); err == nil && len(text) > 4 {
				received = append(received, strings.ReplaceAll(string(text), "\x00", " "))
			}
		}
		return true
	}
	say("220 gossip")
	for next() {
		verb, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		switch {
		case verb == "EHLO":
			say("250-gossip\r\n250 AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2")
			continue
		case verb == "AUTH" && strings.Contains(lines.Text(), "LOGIN"):
			for _, ask := range []string{"Username:", "Password:"} {
				say("334 %s", base64.StdEncoding.EncodeToString([]byte(ask)))
				if !next() {
					return
				}
			}
		case verb == "AUTH" && strings.Contains(lines.Text(), "CRAM"):
			say("334 %s", base64.StdEncoding.EncodeToString([]byte("<1@gossip>")))
			if !next() {
				return
			}
		case verb == "QUIT":
			say("221 bye")
			return
		}
		if verb == refuse {
			say("%s no: %s", code, oneLine(strings.Join(received, " "), 480))
			continue
		}
		switch verb {
		case "AUTH":
			say("235 well")
		case "DATA":
			say("354 go on")
			for next() && lines.Text() != "." {
			}
			if refuse == "." {
				say("%s no: %s", code, oneLine(strings.Join(received, " "), 480))
				continue
			}
			say("250 taken")
		default:
			say("250 well")
		}
	}
}
