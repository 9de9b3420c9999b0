package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const rsyslogRecipe = "../../deploy/recipes/rsyslog/"

// rsyslogRecord is a record of a device taken off a user.
func rsyslogRecord(user string) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"},`+
		`"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1","sourceIPAddress":"2001:db8::1","userAgent":%q,`+
		`"requestParameters":{"userName":%q,"serialNumber":"arn:aws:iam::111122223333:mfa/%s"},"responseElements":null,"eventID":"rsyslog-%s"}`,
		time.Now().UTC().Format(time.RFC3339), "agent "+strings.Repeat("x", 9000), user, user, user)
}

// A real rsyslog with the recipe: every message comes out as an alert, although
// mfawatch is killed in between. So it does with transactions, of which rsyslog
// does not repeat what was answered before the kill.
func TestRsyslogRecipe(t *testing.T) {
	rsyslogd, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("needs rsyslogd: apt-get install rsyslog")
	}
	const line = `confirmMessages="on"`
	t.Parallel()
	for name, confirm := range map[string]string{"as it is": line, "transactions": line + ` useTransactions="on"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rsyslogKill(t, rsyslogd, confirm)
		})
	}
}

func rsyslogKill(t *testing.T, rsyslogd, confirm string) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path("mfawatch")); err != nil { // the tests' binary is mfawatch by that name
		t.Fatal(err)
	}
	// The recipe as it is, except places, and the time that rsyslog waits.
	places := strings.NewReplacer("/usr/local/bin/mfawatch", path("mfawatch"), "/etc/mfawatch", dir, "/var/lib/mfawatch", dir, "/var/log", dir,
		`resumeInterval="5"`, `resumeInterval="1"`, `confirmMessages="on"`, confirm)
	config := fmt.Sprintf("global(maxMessageSize=\"1m\" workDirectory=%q)\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"0\" listenPortFileName=%q)\n",
		dir, path("port")) + places.Replace(read(rsyslogRecipe+"mfawatch.conf"))
	for name, text := range map[string]string{"rsyslog.conf": config, "pipe.yaml": places.Replace(read(rsyslogRecipe + "pipe.yaml"))} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	daemon := exec.Command(rsyslogd, "-n", "-f", path("rsyslog.conf"), "-i", path("pid"))
	daemon.Stdout, daemon.Stderr = &said, &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		<-ended
	})
	// until waits for what has to come.
	until := func(what string, done func() bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(time.Minute); !done(); <-tick.C {
			if time.Now().After(deadline) {
				log, _ := os.ReadFile(path("mfawatch.log"))
				_ = daemon.Process.Kill()
				ended <- <-ended
				t.Fatalf("waited in vain for %s\nrsyslogd: %s\nmfawatch: %s", what, said.String(), log)
			}
		}
	}
	opened := func() (users int) { // one delivered just before the kill may be delivered twice
		text, _ := os.ReadFile(path("alerts.jsonl"))
		for i := range 200 {
			if bytes.Contains(text, fmt.Appendf(nil, `"user":"user%d",`, i)) {
				users++
			}
		}
		return users
	}
	var port []byte
	until("rsyslog to listen", func() bool { port, _ = os.ReadFile(path("port")); return len(port) > 0 })
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(string(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := fmt.Fprintf(conn, "<134>1 2026-05-01T08:00:00Z host cloudtrail - - - %s\n", rsyslogRecord(fmt.Sprintf("user%d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0, 100)
	until("the first alerts", func() bool { return opened() == 100 })

	// The process below rsyslog dies as hard as it can, with messages under way.
	send(100, 150)
	killed := rsyslogChild(t, daemon.Process.Pid)
	_ = killed.Kill()
	send(150, 200)
	until("all alerts", func() bool { return opened() == 200 })

	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		ended <- err
		if err != nil {
			t.Errorf("rsyslogd: %v\n%s", err, said.String())
		}
	case <-time.After(time.Minute):
		t.Error("rsyslogd does not end")
	}
}

// rsyslogChild is the mfawatch that an rsyslogd has started.
func rsyslogChild(t *testing.T, parent int) *os.Process {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", parent))
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, task := range tasks {
		more, _ := os.ReadFile(task)
		text = append(text, more...)
	}
	var pid int
	if _, scanned := fmt.Sscan(string(text), &pid); scanned != nil {
		t.Fatalf("rsyslogd has no child: %q, %v", text, err)
	}
	child, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return child
}
