package connlimit

import (
	"net/netip"
	"testing"
	"time"
)

// Senders with a token keep their connections; one host has one IPv6 network.
func TestBounds(t *testing.T) {
	l := &Listener{all: 3, perAddress: 2, patience: time.Hour, conns: map[*limited]struct{}{}}
	now := time.Now()
	admit := func(address string, proven bool) (*limited, *limited, bool) {
		now = now.Add(time.Second)
		c := &limited{listener: l, address: network(netip.MustParseAddr(address)), accepted: now}
		evicted, ok := l.admit(c)
		if ok && proven {
			c.prove()
		}
		return c, evicted, ok
	}
	a, _, _ := admit("2001:db8::1", false)
	admit("2001:db8::2", true)
	if _, evicted, ok := admit("2001:db8::3", true); !ok || evicted != a {
		t.Errorf("a third of one network: evicted %v, %v", evicted, ok)
	}
	if _, _, ok := admit("2001:db8::4", false); ok {
		t.Error("a sender was evicted for a stranger of its network")
	}
	b, evicted, ok := admit("::ffff:198.51.100.7", false)
	if !ok || evicted != nil || b.address != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("another address: evicted %v, %v, %s", evicted, ok, b.address)
	}
	if _, evicted, ok := admit("198.51.100.8", true); !ok || evicted != b {
		t.Errorf("above all: evicted %v, %v", evicted, ok)
	}
	if _, _, ok := admit("198.51.100.9", false); ok {
		t.Error("a sender was evicted for a stranger")
	}
}
