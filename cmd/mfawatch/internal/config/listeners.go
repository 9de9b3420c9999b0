package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
)

// listenerMistakes returns each address that two parts would listen on.
func (c *Config) listenerMistakes() []Mistake {
	type listener struct{ field, address string }
	all := []listener{{"http.address", c.HTTP.Address}}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if l, ok := c.Sources[name].(interface{ listens() string }); ok {
			all = append(all, listener{"sources." + name + ".address", l.listens()})
		}
	}
	var wrong []Mistake
	for i, a := range all {
		for _, b := range all[:i] {
			if sameListener(a.address, b.address) {
				wrong = append(wrong, Mistake{a.field, fmt.Sprintf("%s is the address of %s (%s), too; want another port", Bounded(a.address), b.field, Bounded(b.address))})
				break
			}
		}
	}
	return wrong
}

// sameListener reports whether one of two listeners could not start beside the
// other.
func sameListener(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	ipA, ipB := listenerIP(hostA), listenerIP(hostB)
	return hostA == hostB || ipA.IsUnspecified() || ipB.IsUnspecified() || ipA.IsValid() && ipA == ipB
}

// listenerIP returns the address of a listener's host, the zero value if it is a
// name.
func listenerIP(host string) netip.Addr {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, _ := netip.ParseAddr(cmp.Or(host, "0.0.0.0"))
	return ip.Unmap()
}
