package status_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor/status"
)

func TestStatus(t *testing.T) {
	var s status.Status
	if s.Set(nil) || s.Err() != nil {
		t.Error("the zero value has an error")
	}
	first, again, other := errors.New("refused"), errors.New("refused"), errors.New("reset")
	for i, step := range []struct {
		err     error
		changed bool
	}{
		{first, true}, {again, false}, {other, true}, {first, true}, {nil, true}, {nil, false}, {first, true},
	} {
		if got := s.Set(step.err); got != step.changed || !errors.Is(s.Err(), step.err) {
			t.Errorf("%d: changed %v, error %v", i, got, s.Err())
		}
	}
}

func TestStatusByKey(t *testing.T) {
	var s status.Status
	for i, step := range []struct {
		key     string
		changed bool
	}{
		{"denied", true}, {"denied", false}, {"network", true},
	} {
		err := fmt.Errorf("request %d", i)
		if got := s.SetAs(step.key, err); got != step.changed || !errors.Is(s.Err(), err) {
			t.Errorf("%d: changed %v, error %v", i, got, s.Err())
		}
	}
}

func TestStatusLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := status.Status{Lasts: 30 * time.Second}
		err := errors.New("refused")
		s.Set(err)
		time.Sleep(20 * time.Second)
		if s.Set(err) {
			t.Error("the same error is a change")
		}
		time.Sleep(20 * time.Second)
		if s.Err() == nil {
			t.Error("an error that was set again is over")
		}
		time.Sleep(10 * time.Second)
		if s.Err() != nil {
			t.Error("an error outlasts its time")
		}
		if !s.Set(err) {
			t.Error("an error after that time is no change")
		}
	})
}

// A part that fails in turns logs each error once.
func ExampleStatus() {
	var s status.Status
	for _, err := range []error{errors.New("refused"), errors.New("refused"), nil} {
		switch changed := s.Set(err); {
		case changed && err != nil:
			fmt.Println("cannot read; trying again:", err)
		case changed:
			fmt.Println("reading again")
		}
	}
	// Output:
	// cannot read; trying again: refused
	// reading again
}
