package journal

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// fill sets each field of v to a value that no other has.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(*n)<<32, 7).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field, n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n, " \xff\x00"))
	case reflect.Slice:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d}`, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(*n))
	default:
		t.Fatalf("an event has a field of type %s: encodeEvent does not know it", v.Type())
	}
}

func TestEventsAreStoredWhole(t *testing.T) {
	var full trail.Event
	n := 0
	fill(t, reflect.ValueOf(&full).Elem(), &n)
	no := false
	events := map[string]*trail.Event{
		"every field":      &full,
		"no field":         {},
		"false, not nil":   {ID: "1", MFAUsed: &no, Actor: trail.Actor{MFA: &no}},
		"before 1970":      {Time: time.Date(-50, 1, 2, 3, 4, 5, 6, time.UTC)},
		"in the last year": {Time: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
	}
	for name, e := range events {
		t.Run(name, func(t *testing.T) {
			for _, like := range []*trail.Event{nil, e, &full, {}} {
				got, err := decodeEvent(nil, encodeEvent(e), like)
				if err != nil || !reflect.DeepEqual(got, e) {
					t.Errorf("%v\n got %+v\nwant %+v", err, got, e)
				}
			}
		})
	}
	// Each field alone is kept as well, so that none takes the place of another.
	for _, v := range []reflect.Value{reflect.ValueOf(&full).Elem(), reflect.ValueOf(&full.Actor).Elem()} {
		for i := range v.NumField() {
			var e trail.Event
			into := reflect.ValueOf(&e).Elem()
			if v.Type() == reflect.TypeFor[trail.Actor]() {
				into = reflect.ValueOf(&e.Actor).Elem()
			}
			into.Field(i).Set(v.Field(i))
			for _, like := range []*trail.Event{nil, &full} {
				if got, err := decodeEvent(nil, encodeEvent(&e), like); err != nil || !reflect.DeepEqual(got, &e) {
					t.Errorf("%s: %v\n got %+v\nwant %+v", v.Type().Field(i).Name, err, got, &e)
				}
			}
		}
	}
}

func TestEventCutShortIsDamaged(t *testing.T) {
	var e trail.Event
	n := 0
	fill(t, reflect.ValueOf(&e).Elem(), &n)
	whole := encodeEvent(&e)
	for i := range whole {
		if _, err := decodeEvent([]byte("key"), whole[:i], nil); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", i, len(whole), err)
		}
	}
	if _, err := decodeEvent([]byte("key"), append(whole, 0), nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	var e trail.Event
	f.Add(encodeEvent(&e))
	f.Add([]byte{eventLayout, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		if e, err := decodeEvent(nil, value, nil); err == nil {
			if again, err := decodeEvent(nil, encodeEvent(e), nil); err != nil || !reflect.DeepEqual(again, e) {
				t.Errorf("%v: %+v became %+v", err, e, again)
			}
		}
	})
}
