package journal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// startPath, when set, makes TestMeasuredStart the process that is measured.
const startPath = "MFAWATCH_TEST_START_PATH"

// maxStart and maxResident bound the start of a store with 100,000 open
// exposures.
const (
	maxStart    = 5 * time.Second
	maxResident = 256 << 10 // KiB
)

func TestMeasuredStart(t *testing.T) {
	path := os.Getenv(startPath)
	if path == "" {
		t.Skip("this is the process that BenchmarkStart measures")
	}
	begin := time.Now()
	j := open(t, path)
	took := time.Since(begin)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	_, now, _ := strings.Cut(string(status), "VmRSS:")
	fmt.Printf("measured %d %d %s %s\n", len(j.Open()), took.Milliseconds(), strings.Fields(now)[0], strings.Fields(peak)[0])
}

// BenchmarkStart opens a store of 100,000 open exposures, first when nothing of
// it is in the system's cache, and fails if that takes too long or too much.
func BenchmarkStart(b *testing.B) {
	const accounts, users = 100, 1000
	path := b.TempDir() + "/mfawatch.db"
	j := open(b, path)
	if err := j.Register("a"); err != nil {
		b.Fatal(err)
	}
	raw := fmt.Appendf(nil, `{"eventName":"DeactivateMFADevice","pad":%q}`, strings.Repeat("x", 1200))
	for a := range accounts {
		var events []*trail.Event
		for u := range users {
			e := event(fmt.Sprintf("%012d", a), fmt.Sprintf("user%d", u), u)
			e.Time, e.Raw = time.Now().Add(-time.Hour), raw
			events = append(events, e)
		}
		mustAppend(b, j, events...)
		mustFold(b, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
			return alerting.Notify(events, st, now, exposure.DefaultPolicy())
		})
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	evict(b, path)
	for b.Loop() {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMeasuredStart$")
		cmd.Env = append(os.Environ(), startPath+"="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		var open, millis, kib, peak int
		if _, err := fmt.Sscanf(string(out), "measured %d %d %d %d", &open, &millis, &kib, &peak); err != nil || open != accounts*users {
			b.Fatalf("%d exposures, %v: %s", open, err, out)
		}
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		b.Logf("%d ms, %s of CPU, %d MiB resident, %d at its peak, the part of the file that it mapped included", millis, cpu, kib>>10, peak>>10)
		if took := time.Duration(millis) * time.Millisecond; took > maxStart || kib > maxResident {
			b.Errorf("started in %s with %d KiB, want %s and %d KiB at most", took, kib, maxStart, maxResident)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size()>>20), "MiB-file")
}

// evict drops the file from the system's cache.
func evict(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const dontNeed = 4
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
		b.Fatal(errno)
	}
}
