package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A slowHook is a channel that takes its time, or never answers.
type slowHook struct {
	*httptest.Server
	mu        sync.Mutex
	delivered map[string]int // by alert
	cut       int            // requests that the sender gave up
	begun     int
	hang      bool
	unhang    chan struct{}
}

func newSlowHook(t *testing.T) *slowHook {
	h := &slowHook{delivered: map[string]int{}, unhang: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a struct{ ID string }
		body, err := io.ReadAll(r.Body)
		if err := errors.Join(err, json.Unmarshal(body, &a)); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		h.begun++
		hang := h.hang
		h.mu.Unlock()
		pause := time.NewTimer(50 * time.Millisecond)
		defer pause.Stop()
		answer := pause.C
		if hang {
			answer = nil
		}
		select {
		case <-answer:
		case <-h.unhang:
			return
		case <-r.Context().Done():
			h.mu.Lock()
			defer h.mu.Unlock()
			h.cut++
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.delivered[a.ID]++
	}))
	t.Cleanup(func() {
		close(h.unhang)
		h.Close()
	})
	return h
}

// is waits until f, which is called with the lock held, reports true.
func (h *slowHook) is(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := every(ctx, 5*time.Millisecond, func() (bool, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return f(), nil
	})
	if err != nil {
		t.Fatalf("waited in vain until %s", what)
	}
}

// A runningService is mfawatch run in a process of its own.
type runningService struct {
	*exec.Cmd
	log string // a file
}

func startService(t *testing.T, config string) *runningService {
	s := &runningService{exec.Command("mfawatch", "run", "-c", config), filepath.Join(t.TempDir(), "log")}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	s.Stderr = log
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.ProcessState == nil {
			_ = s.Process.Kill()
			_ = s.Wait()
		}
	})
	return s
}

func (s *runningService) logged() []byte {
	text, _ := os.ReadFile(s.log)
	return text
}

// says waits until the process has logged a text.
func (s *runningService) says(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := every(ctx, 5*time.Millisecond, func() (bool, error) { return bytes.Contains(s.logged(), []byte(text)), nil })
	if err != nil {
		t.Fatalf("waited in vain for %q in the log:\n%s", text, s.logged())
	}
}

// ends waits for the end of the process, which has to come in time and with the
// exit code.
func (s *runningService) ends(t *testing.T, code int, within time.Duration) {
	t.Helper()
	began := time.Now()
	_ = s.Wait()
	if got := s.ProcessState.ExitCode(); got != code || time.Since(began) > within {
		t.Fatalf("exit code %d after %s, want %d within %s\n%s", got, time.Since(began), code, within, s.logged())
	}
}

// Stopped under load, it reads no more, acknowledges what it has, lets the sends
// under way end, and leaves the rest to the next start; nothing is lost and
// nothing delivered twice. A second signal does not wait.
func TestLifeCycle(t *testing.T) {
	const topic, group, users = "cloudtrail", "mfawatch", 240
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	hook := newSlowHook(t)
	dir := t.TempDir()
	config, path := filepath.Join(dir, "mfawatch.yaml"), filepath.Join(dir, "mfawatch.db")
	text := fmt.Sprintf(`
sources: {trail: {type: kafka, brokers: [%q], topics: [%s], group: %s}}
sinks: {hook: {type: webhook, url: %q}}
journal: {path: %q}
http: {address: "127.0.0.1:0"}
escalate_after: [12h]
campaign: {users: 0}
shutdown_timeout: 30s
`, cluster.ListenAddrs()[0], topic, group, hook.URL, path)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			record := fmt.Appendf(nil, `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice",`+
				`"accountId":"111122223333","userName":"alice"},"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice",`+
				`"awsRegion":"us-east-1","requestParameters":{"userName":"user-%d","serialNumber":"arn:aws:iam::111122223333:mfa/user-%[2]d"},`+
				`"responseElements":null,"eventID":"event-%[2]d","recipientAccountId":"111122223333"}`, time.Now().UTC().Format(time.RFC3339), i)
			client.Produce(t.Context(), &kgo.Record{Value: record}, func(_ *kgo.Record, err error) {
				if err != nil && t.Context().Err() == nil {
					t.Error(err)
				}
			})
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	committed := func() (n int64) {
		offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) { n += o.At })
		return n
	}

	produce(0, users/3)
	s := startService(t, config)
	hook.is(t, "some alerts are delivered", func() bool { return len(hook.delivered) > 8 })
	var load sync.WaitGroup
	load.Go(func() { produce(users/3, 2*users/3) })
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(t, exitDone, 30*time.Second)
	load.Wait()
	hook.mu.Lock()
	delivered := len(hook.delivered)
	if hook.cut > 0 || delivered == users {
		t.Errorf("%d sends under way were cut off in the drain time, %d alerts delivered", hook.cut, delivered)
	}
	hook.mu.Unlock()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Register("hook"); err != nil {
		t.Fatal(err)
	}
	st, err := j.Stats()
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	if got := int64(delivered + st.Sinks["hook"].Pending); got > committed() || got == 0 || st.Unfolded == 0 && got != committed() {
		t.Errorf("%d alerts delivered and %d pending, but %d records acknowledged", delivered, st.Sinks["hook"].Pending, committed())
	}

	// The channel hangs; a second signal does not wait for it.
	hook.mu.Lock()
	hook.hang = true
	begun := hook.begun
	hook.mu.Unlock()
	produce(2*users/3, users)
	s = startService(t, config)
	hook.is(t, "sends hang", func() bool { return hook.begun > begun })
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.says(t, "stopping: sources stop")
	again := time.AfterFunc(sameSignal, func() { _ = s.Process.Signal(syscall.SIGTERM) })
	defer again.Stop()
	s.ends(t, exitFailed, 7*time.Second)
	if !bytes.Contains(s.logged(), []byte("second signal: stopped immediately")) {
		t.Errorf("it does not say why it ended:\n%s", s.logged())
	}

	// What died leaves the group, as it would after the session's time.
	admin := kadm.NewClient(client)
	groups, err := admin.DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range groups[group].Members {
		r, leaving := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewLeaveGroupRequestMember()
		leaving.MemberID = m.MemberID
		r.Group, r.Members = group, append(r.Members, leaving)
		if _, err := r.RequestWith(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	hook.mu.Lock()
	hook.hang = false
	hook.mu.Unlock()
	s = startService(t, config)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%d delivered\n%s", len(hook.delivered), s.logged())
		}
	})
	hook.is(t, "all is delivered", func() bool { return len(hook.delivered) == users })
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(t, exitDone, 30*time.Second)
	if n := committed(); n != users {
		t.Errorf("%d records acknowledged, want %d", n, users)
	}
	for id, n := range hook.delivered {
		if n != 1 {
			t.Errorf("alert %s was delivered %d times", id, n)
		}
	}
}
