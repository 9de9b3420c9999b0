package shard

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
)

func TestReachable(t *testing.T) {
	for _, f := range []struct{ name, advertise, http, broker, want string }{
		{"an address of its own", "", "192.0.2.7:9464", "192.0.2.1:9092", "192.0.2.7:9464"},
		{"all addresses", "", "0.0.0.0:9464", "127.0.0.1:9092", "127.0.0.1:9464"},
		{"all addresses, IPv6", "", "[::]:9464", "127.0.0.1:9092", "127.0.0.1:9464"},
		{"loopback, with the brokers", "", "127.0.0.1:9464", "127.0.0.1:9092", "127.0.0.1:9464"},
		{"loopback, and brokers that cannot be found", "", "127.0.0.1:9464", "nowhere.invalid:9092", ""},
		{"all addresses, and brokers that cannot be found", "", ":9464", "nowhere.invalid:9092", ""},
		{"no server", "", "", "127.0.0.1:9092", ""},
		{"another by the configuration", "mfawatch-0.example:80", "0.0.0.0:9464", "127.0.0.1:9092", "mfawatch-0.example:80"},
	} {
		c := &Cluster{config: Config{Config: kafka.Config{Brokers: []string{f.broker}}, Advertise: f.advertise}, http: f.http}
		if got := c.reachable(t.Context()); got != f.want {
			t.Errorf("%s: %q, want %q", f.name, got, f.want)
		}
	}
}

// The address and the shards of a member are remembered while the group rebalances,
// and forgotten with the member.
func TestDescribed(t *testing.T) {
	var d described
	for i, f := range []struct{ all, want []Replica }{
		{[]Replica{{"a", "a:1", []int32{0}}, {"b", "b:1", []int32{1}}}, []Replica{{"a", "a:1", []int32{0}}, {"b", "b:1", []int32{1}}}},
		{[]Replica{{"a", "", nil}, {"b", "", nil}, {"c", "", nil}}, []Replica{{"a", "a:1", []int32{0}}, {"b", "b:1", []int32{1}}, {"c", "", nil}}},
		{[]Replica{{"a", "", nil}, {"c", "c:1", nil}}, []Replica{{"a", "a:1", []int32{0}}, {"c", "c:1", nil}}},
		{[]Replica{{"b", "", nil}, {"c", "c:2", nil}}, []Replica{{"b", "", nil}, {"c", "c:2", nil}}},
	} {
		if got := d.remember(f.all); !reflect.DeepEqual(got, f.want) {
			t.Errorf("%d: %v, want %v", i, got, f.want)
		}
	}
}

// The address is part of a member's metadata, beside the balancer's own data.
// Whatever else a member announces is no address.
func TestAnnounced(t *testing.T) {
	plain := kgo.CooperativeStickyBalancer()
	b := announcer{plain, "192.0.2.7:9464"}.JoinGroupMetadata([]string{"t"}, map[string][]int32{"t": {1, 2}}, 7)
	var meta, want kmsg.ConsumerMemberMetadata
	if err := meta.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if err := want.ReadFrom(plain.JoinGroupMetadata([]string{"t"}, map[string][]int32{"t": {1, 2}}, 7)); err != nil {
		t.Fatal(err)
	}
	if got := announced(meta.UserData); got != "192.0.2.7:9464" {
		t.Errorf("%q", got)
	}
	var own kmsg.StickyMemberMetadata
	if err := own.ReadFrom(meta.UserData); err != nil || own.Generation != 7 || len(own.CurrentAssignment) != 1 || !slices.Equal(own.CurrentAssignment[0].Partitions, []int32{1, 2}) {
		t.Errorf("the balancer reads %+v, %v", own, err)
	}
	if meta.Generation != want.Generation || len(meta.OwnedPartitions) != 1 || !slices.Equal(meta.Topics, want.Topics) {
		t.Errorf("%+v, want %+v", meta, want)
	}
	for _, data := range []string{"", "mfawatch a:1", announcement, announcement + "a", announcement + ":1", announcement + "a:", announcement + "a b:1", announcement + "a\x1b:1",
		announcement + strings.Repeat("a", maxAddress) + ":1"} {
		if got := announced([]byte(data)); got != "" {
			t.Errorf("%q: %q", data, got)
		}
	}
}
