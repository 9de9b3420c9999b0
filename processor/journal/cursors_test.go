package journal

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

func cursorsOf(t *testing.T, j *Journal, source string) map[string]string {
	t.Helper()
	marks, err := j.Offsets(source)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, v := range marks {
		got[name] = string(v)
	}
	return got
}

func keepBookmarks(t *testing.T, j *Journal, source string, keep map[string]string, forget ...string) {
	t.Helper()
	values := map[string][]byte{}
	for name, v := range keep {
		values[name] = []byte(v)
	}
	if err := j.KeepOffsets(t.Context(), source, values, forget); err != nil {
		t.Fatal(err)
	}
}

func TestBookmarks(t *testing.T) {
	j := temp(t)
	if got := cursorsOf(t, j, "a"); len(got) > 0 {
		t.Errorf("a new journal has %v", got)
	}
	keepBookmarks(t, j, "a", map[string]string{"x": "1", "y": "2"})
	keepBookmarks(t, j, "b", map[string]string{"x": "3"})
	keepBookmarks(t, j, "a", map[string]string{"x": "4", "z": "5"}, "y", "never")
	for range 2 { // after a restart, too
		if got := cursorsOf(t, j, "a"); !maps.Equal(got, map[string]string{"x": "4", "z": "5"}) {
			t.Errorf("a: %v", got)
		}
		if got := cursorsOf(t, j, "b"); !maps.Equal(got, map[string]string{"x": "3"}) {
			t.Errorf("b: %v", got)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if j, err = Open(j.store.Path(), Options{}); err != nil {
			t.Fatal(err)
		}
	}
	// A damaged one is an error: the source must not go on from elsewhere.
	err := j.store.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(sourceTables)).Bucket([]byte("a")).Put([]byte("x"), []byte("something else"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := j.Offsets("a"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a: %v, %v", got, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Offsets("a"); err == nil {
		t.Error("a closed journal answers")
	}
}

func TestBookmarksAreBounded(t *testing.T) {
	j := temp(t)
	many := map[string]string{}
	for i := range maxBookmarks + 5 {
		many[fmt.Sprint(i)] = "x"
	}
	keepBookmarks(t, j, "a", many)
	got := cursorsOf(t, j, "a")
	if len(got) != maxBookmarks {
		t.Fatalf("%d are kept", len(got))
	}
	var one string
	for one = range got {
		break
	}
	keepBookmarks(t, j, "a", map[string]string{one: "y", "new": "z"}) // what is there may change
	if got := cursorsOf(t, j, "a"); got[one] != "y" || got["new"] != "" {
		t.Errorf("%q and %q", got[one], got["new"])
	}
	keepBookmarks(t, j, "a", map[string]string{"new": "z"}, one) // and makes room when it goes
	if got := cursorsOf(t, j, "a"); got["new"] != "z" || len(got) != maxBookmarks {
		t.Errorf("%q, %d", got["new"], len(got))
	}
}
