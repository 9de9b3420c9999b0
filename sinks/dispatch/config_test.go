package dispatch

import (
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDeliveryConfigValidate(t *testing.T) {
	tests := []struct {
		name   string
		config DeliveryConfig
		want   []string // begins of the mistakes
	}{
		{"zero", DeliveryConfig{}, nil},
		{"the defaults", DefaultDeliveryConfig(), nil},
		{"all set", DeliveryConfig{Timeout: 1, Retry: RetryConfig{1, 2, 3}, Concurrency: 1024, Rate: 0.1, Group: GroupConfig{time.Minute, 2, "actor"}}, nil},
		{"timeout", DeliveryConfig{Timeout: -1}, []string{"timeout: "}},
		{"retry", DeliveryConfig{Retry: RetryConfig{Min: time.Minute, Max: time.Second}}, []string{"retry.min: want at most retry.max (1s), got 1m0s"}},
		{"negative retry", DeliveryConfig{Retry: RetryConfig{-1, -1, -1}}, []string{"retry.min: ", "retry.max: ", "retry.age: "}},
		{"retry that is too slow", DeliveryConfig{Retry: RetryConfig{Max: 25 * time.Hour}}, []string{"retry.max: want at most 24h0m0s, got 25h0m0s"}},
		{"concurrency", DeliveryConfig{Concurrency: 1025}, []string{"concurrency: "}},
		{"rate", DeliveryConfig{Rate: -1}, []string{"rate: "}},
		{"rate that is none", DeliveryConfig{Rate: math.NaN()}, []string{"rate: "}},
		{"endless rate", DeliveryConfig{Rate: math.Inf(1)}, []string{"rate: "}},
		{"group", DeliveryConfig{Group: GroupConfig{-1, 1, "user"}}, []string{"group.wait: ", "group.max: want 2 to 1000, got 1", `group.by: want account or actor, got "user"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("got %q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
}

func TestDeliveryDefaults(t *testing.T) {
	d := DefaultDeliveryConfig()
	if d.Timeout != 30*time.Second || d.Retry != (RetryConfig{time.Second, 5 * time.Minute, 24 * time.Hour}) || d.Concurrency != 8 || d.Rate != 0 || d.Group.Wait != 0 {
		t.Errorf("defaults %+v", d)
	}
	for _, r := range []RetryConfig{{Min: time.Hour}, {Max: time.Millisecond}} {
		if got := (DeliveryConfig{Retry: r}).withDefaults().Retry; got.Min > got.Max {
			t.Errorf("%+v became %+v", r, got)
		}
	}
}

func TestWorkerRefusesABadDelivery(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "j.db"))
	defer j.Close()
	_, err := New(j, "a", &fakeSink{t: t}, Options{Logger: slog.New(slog.DiscardHandler), Delivery: DeliveryConfig{Timeout: -1}})
	if want := "delivery: timeout: "; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
