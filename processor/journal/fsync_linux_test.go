package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A disk holds the part of a folder that survives a stop of the machine: each
// file as its last fsync left it, under the names that the last fsync of the
// folder found.
type disk struct {
	dir   string
	files map[uint64][]byte // by inode
	names map[string]uint64
	kept  []disk        // as of each fsync
	syncs *atomic.Int64 // length of kept, for the goroutine that is watched
}

// synced takes over what an fsync of the descriptor makes durable.
func (d *disk) synced(fd int) error {
	path, err := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		d.names = map[string]uint64{}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return err
			}
			d.names[e.Name()] = inode(info)
		}
	} else if d.files[inode(info)], err = os.ReadFile(path); err != nil {
		return err
	}
	d.kept = append(d.kept, disk{files: maps.Clone(d.files), names: maps.Clone(d.names)})
	d.syncs.Add(1)
	return nil
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// restore writes what is left into a new folder.
func (d *disk) restore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, id := range d.names {
		if err := os.WriteFile(filepath.Join(dir, name), d.files[id], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The system calls that make writes durable, and the one that sets filters.
var seccompCall, fsyncCalls = map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH], []uint32{syscall.SYS_FSYNC, syscall.SYS_FDATASYNC}

type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type reply struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// watch reports each fsync of the calling thread, which never leaves this
// goroutine, to the returned descriptor, and waits for the reply.
func watch() (listener int, err error) {
	runtime.LockOSThread()
	type instruction struct {
		code  uint16
		jt, _ uint8
		k     uint32
	}
	program := []instruction{
		{code: 0x20},                          // load the number of the call
		{code: 0x15, jt: 2, k: fsyncCalls[0]}, // if it is fsync, notify
		{code: 0x15, jt: 1, k: fsyncCalls[1]}, // if it is fdatasync, notify
		{code: 0x06, k: 0x7fff0000},           // allow
		{code: 0x06, k: 0x7fc00000},           // notify
	}
	prog := struct {
		n     uint16
		first *instruction
	}{uint16(len(program)), &program[0]}
	const noNewPrivileges, setFilter, newListener = 38, 1, 8
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return 0, errno
	}
	fd, _, errno := syscall.RawSyscall(seccompCall, setFilter, newListener, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// follow keeps d up to date until stop is called by an fsync of descriptor -1.
func (d *disk) follow(listener int) error {
	const receive, send, goOn = 0xc0502100, 0xc0182101, 1
	var failed error
	for {
		var n notification
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(listener), receive, uintptr(unsafe.Pointer(&n))); errno == syscall.EINTR {
			continue
		} else if errno != 0 {
			return errors.Join(failed, errno)
		}
		last := int32(n.args[0]) == -1
		if !last {
			failed = errors.Join(failed, d.synced(int(n.args[0])))
		}
		r := reply{id: n.id, flags: goOn}
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(listener), send, uintptr(unsafe.Pointer(&r))); errno != 0 {
			return errors.Join(failed, errno)
		}
		if last {
			return failed
		}
	}
}

// onDisk runs f, whose fsyncs alone reach the returned disk.
func onDisk(t *testing.T, f func(dir string, d *disk) error) *disk {
	t.Helper()
	if seccompCall == 0 {
		t.Skipf("the numbers of system calls of %s are not known to this test", runtime.GOARCH)
	}
	d := &disk{dir: t.TempDir(), files: map[uint64][]byte{}, syncs: new(atomic.Int64)}
	listeners, unwatched, ended, followed := make(chan int), make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { // its thread ends with it
		listener, err := watch()
		if err != nil {
			unwatched <- err
			return
		}
		listeners <- listener
		err = f(d.dir, d)
		_ = syscall.Fdatasync(-1)
		ended <- err
	}()
	var listener int
	select {
	case err := <-unwatched:
		t.Skipf("this system does not let a test watch its own fsyncs (seccomp): %v", err)
	case listener = <-listeners:
	}
	go func() { followed <- d.follow(listener) }()
	if err := errors.Join(<-ended, <-followed, syscall.Close(listener)); err != nil {
		t.Fatal(err)
	}
	return d
}

// lost counts the promises that a journal breaks after the machine stopped: what
// every method that returned nil wrote has to be there.
func lost(t *testing.T, noSync bool) (broken []string) {
	t.Helper()
	type promise struct {
		what string
		kept func(j *Journal) bool
		at   int // fsyncs until it was given
	}
	var promises []promise
	d := onDisk(t, func(dir string, d *disk) error {
		j, err := Open(filepath.Join(dir, "mfawatch.db"), options())
		if err != nil {
			return err
		}
		defer j.Close()
		file(j).NoSync = noSync
		give := func(what string, err error, kept func(j *Journal) bool) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			promises = append(promises, promise{what, kept, int(d.syncs.Load())})
		}
		give("register", j.Register("a"), func(j *Journal) bool {
			names, err := j.Sinks()
			return err == nil && slices.Equal(names, []string{"a"})
		})
		for i := range 4 {
			e := event("1", "bob", i)
			_, err := j.Append(t.Context(), []*trail.Event{e})
			give("append "+e.ID, err, func(j *Journal) bool {
				n, err := j.Append(t.Context(), []*trail.Event{e})
				return n == 0 && err == nil
			})
		}
		_, err = j.Fold(t.Context(), time.Now(), each, nil)
		give("fold", err, func(j *Journal) bool { alerts, err := j.Latest(0, 10); return len(alerts) == 4 && err == nil })
		give("done", j.Done("a", Result{Number: 1}), func(j *Journal) bool {
			_, _, err := j.Take("a", 1)
			return errors.Is(err, ErrAcked)
		})
		give("bury", j.Bury("a", DeadLetter{Number: 2, Cause: "no"}), func(j *Journal) bool {
			letters, err := j.DeadLetters("a")
			return len(letters) == 1 && err == nil
		})
		return nil
	})
	for i, left := range append(d.kept, *d) {
		path := filepath.Join(left.restore(t), "mfawatch.db")
		j, err := Open(path, options())
		if err != nil {
			t.Errorf("stopped after %d fsyncs: %v", i+1, err)
			continue
		}
		for _, p := range promises {
			if (p.at <= i || i == len(d.kept)) && !p.kept(j) {
				broken = append(broken, fmt.Sprintf("stopped after %d fsyncs: %s", i+1, p.what))
			}
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	return broken
}

// A machine that stops loses nothing that a method has returned nil for, and the
// journal opens whenever it stopped.
func TestStoppedMachineLosesNothing(t *testing.T) {
	for _, broken := range lost(t, false) {
		t.Errorf("lost: %s", broken)
	}
}

// The test before this one notices a store that does not sync.
func TestStoppedMachineLosesWhatIsNotSynced(t *testing.T) {
	if broken := lost(t, true); len(broken) == 0 {
		t.Error("without fsync nothing was lost: the test above proves nothing")
	} else {
		t.Logf("without fsync %d promises are broken, first: %s", len(broken), broken[0])
	}
}
