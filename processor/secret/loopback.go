package secret

import (
	"net"
	"net/netip"
)

// Loopback reports whether address, a host with or without a port, is reached by
// this machine alone: no other can read or send what is not protected there.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
