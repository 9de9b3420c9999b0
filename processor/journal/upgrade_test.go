package journal

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// downgrade makes the closed journal a file of version 1, as that wrote it.
func downgrade(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		sinks := tx.Bucket(sinksBucket)
		err := sinks.ForEachBucket(func(name []byte) error { return sinks.Bucket(name).DeleteBucket(triesBucket) })
		if err != nil {
			return err
		}
		alerts := map[string][]byte{}
		err = tx.Bucket(alertsBucket).ForEach(func(k, sealed []byte) error {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			end := alertHeader + int(binary.BigEndian.Uint16(v[9:]))
			old := append(slices.Clone(v[:end]), v[end+4:]...) // no nanoseconds
			old[8] &^= exactFlag
			alerts[string(k)] = seal(k, old)
			return nil
		})
		if err != nil {
			return err
		}
		for k, v := range alerts {
			if err := tx.Bucket(alertsBucket).Put([]byte(k), v); err != nil {
				return err
			}
		}
		marks := map[string][]byte{}
		err = tx.Bucket(dirtyBucket).ForEach(func(k, v []byte) error {
			marks[string(k)] = slices.Clone(v[:8])
			return nil
		})
		if err != nil {
			return err
		}
		for k, v := range marks {
			if err := tx.Bucket(dirtyBucket).Put([]byte(k), v); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, []byte("mfawatch.journal/1"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUpgradeFromVersion1(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a", "b")
	mustAppend(t, j, event("1", "bob", 1), event("1", "eve", 2), event("1", "al", 3))
	mustFold(t, j, each)
	done(t, j, "a", 2)
	if err := j.Bury("a", DeadLetter{Number: 1, Cause: "no"}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, event("1", "zoe", 4)) // not folded
	before, err := j.Pending("b", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	downgrade(t, j.path)

	var log strings.Builder
	for restart := range 2 {
		j = logged(t, j.path, &log)
		enlist(t, j, "a", "b")
		if n := strings.Count(log.String(), "the journal was upgraded"); n != 1 {
			t.Errorf("start %d: upgraded %d times, want once: %s", restart, n, log.String())
		}
		if got := numbers(t, j, "a"); restart == 0 && !slices.Equal(got, []uint64{3}) {
			t.Errorf("pending after the upgrade: %v", got)
		}
		after, err := j.Pending("b", 0, 3)
		if err != nil || len(after) != 3 {
			t.Fatalf("pending of b: %v, %v", after, err)
		}
		for i := range after {
			if !after[i].Since.Equal(before[i].Since.Truncate(time.Second)) || after[i].Line != before[i].Line {
				t.Errorf("alert %d: %+v, was %+v", i, after[i], before[i])
			}
		}
		if letters, err := j.DeadLetters("a"); err != nil || len(letters) != 1 {
			t.Errorf("dead letters: %v, %v", letters, err)
		}
		if restart == 0 {
			if got := mustFold(t, j, each); !slices.Equal(got, []string{"alert-1-zoe-4"}) {
				t.Errorf("folded after the upgrade: %v", got)
			}
			if err := j.Failed("a", Failure{Number: 3, Attempts: 1, First: start}); err != nil {
				t.Error(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
