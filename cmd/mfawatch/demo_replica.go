package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
)

// demoReplicaConfig is the configuration of one of several replicas. Its
// placeholders are the broker, the name and the folder of the cache.
const demoReplicaConfig = `
sources:
  trail: {type: kafka, brokers: [%[1]q], topics: [` + demo.Topic + `], group: ` + demoGroup + `}
sinks:
  alerts: {type: kafka, brokers: [%[1]q], topic: ` + demo.AlertsTopic + `}
journal: {type: kafka, brokers: [%[1]q], partitions: 6, replication: 1, instance: %[2]s, path: %[3]q}
http: {address: "127.0.0.1:0"}
escalate_after: [3s, 48s, 288s]
shutdown_timeout: 5s
`

// A demoReplica is a process that runs mfawatch.
type demoReplica struct {
	name    string
	command *exec.Cmd
	output  *demoLog
	done    chan struct{} // closed when it has ended
	killed  bool

	address string      // of its HTTP server; "" until it says so
	client  *web.Client // likewise
}

// startDemoReplica starts this program again, without the settings of its
// environment.
func startDemoReplica(dir, broker, name string) (*demoReplica, error) {
	folder := filepath.Join(dir, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "mfawatch.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, demoReplicaConfig, broker, name, filepath.Join(folder, "cache")), 0o600); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &demoReplica{name: name, output: new(demoLog), done: make(chan struct{})}
	r.command = exec.Command(program, "run", "-c", file)
	r.command.Args[0] = os.Args[0]
	r.command.Stderr = r.output
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MFAWATCH_") {
			r.command.Env = append(r.command.Env, v)
		}
	}
	if err := r.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(r.done)
		_ = r.command.Wait() // its log says why
	}()
	return r, nil
}

// listens finds the address in the first line of the log.
var listens = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`msg="mfawatch runs".* http=(\S+)`) })

// reached reports whether the replica has said where it listens.
func (r *demoReplica) reached() bool {
	if r.client != nil {
		return true
	}
	found := listens().FindStringSubmatch(r.log())
	if found == nil {
		return false
	}
	r.address = found[1]
	var err error
	r.client, err = r.dial()
	return err == nil
}

func (r *demoReplica) dial() (*web.Client, error) { return web.NewClient(r.address, "") }

// ended fails if the process has ended.
func (r *demoReplica) ended() error {
	select {
	case <-r.done:
		return errors.New(r.name + " has ended")
	default:
		return nil
	}
}

// kill ends the process without a chance to do anything.
func (r *demoReplica) kill() error {
	if err := r.command.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", r.name, err)
	}
	<-r.done
	r.killed = true
	return nil
}

// stop ends the process in order, or kills it where that takes too long.
func (r *demoReplica) stop() error {
	if r.killed {
		return nil
	}
	if err := r.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return r.kill() // on Windows
	}
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case <-r.done:
		return nil
	case <-limit.C:
		return r.kill()
	}
}

func (r *demoReplica) log() string { return r.output.String() }

// A demoLog keeps the beginning of a log.
type demoLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// maxDemoLog bounds the log of a replica, in bytes.
const maxDemoLog = 1 << 20

// Write implements [io.Writer].
func (b *demoLog) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.text.Len() < maxDemoLog {
		b.text.Write(p)
	}
	return len(p), nil
}

// String returns the log.
func (b *demoLog) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
