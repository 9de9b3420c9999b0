package web

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// admit adds what changes a running service: the admin's side and /-/reload.
// open reports whether others than this machine may use them.
func (s *Server) admit(admin http.Handler, reload func() (config.Changes, error), open func() bool) {
	s.mux.Handle("/api/v1/", guarded(open, admin))
	s.mux.Handle("POST /-/reload", guarded(open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // sinks may take the drain time to end
		c, err := reload()
		var mistakes *config.Error
		switch {
		case errors.As(err, &mistakes):
			plain(w, http.StatusBadRequest, err.Error()+"\n")
		case err != nil:
			plain(w, http.StatusInternalServerError, err.Error()+"\n")
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(c)
		}
	})))
}

// adminOpen reports whether the admin's side is open: to this machine always, to
// others only where the configuration says so.
func adminOpen(c config.HTTPConfig) bool { return c.Admin || loopback(c.Address) }

// loopback reports whether only this machine can reach an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// guarded lets no web page in: a browser on this machine may be shown a page of
// an attacker's, which must neither change nor read anything. Reads are held to
// the same as changes, since an alert is nobody's business.
func guarded(open func() bool, h http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asChange := *r
		asChange.Method = http.MethodPost
		switch {
		case !open():
			plain(w, http.StatusForbidden, "refused: http.address can be reached from other machines;"+
				" set http.admin: true to allow this to all of them, or listen on 127.0.0.1\n")
		case !plainHost(r.Host):
			plain(w, http.StatusForbidden, "refused: the Host header has to be an IP address or localhost,"+
				" so that no web page can get here under a name of its own\n")
		case protection.Check(&asChange) != nil:
			plain(w, http.StatusForbidden, "refused: the request comes from a web page of another site\n")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// plainHost reports whether a Host header names no name: a page that makes its
// own name stand for this machine's address (DNS rebinding) has one.
func plainHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}
