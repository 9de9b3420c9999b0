package secret

import "testing"

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost": true, "localhost:25": true, "127.0.0.1": true, "127.3.2.1:80": true, "::1": true, "[::1]:80": true, "::ffff:127.0.0.1": true,
		"": false, ":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1": false, "localhost.example.net:25": false, "127.0.0.1.example.net": false,
	} {
		if Loopback(address) != want {
			t.Errorf("%q: want %t", address, want)
		}
	}
}
