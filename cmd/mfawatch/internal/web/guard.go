package web

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/secret"
)

// admit adds the admin API and /-/reload. open reports whether other machines may
// use them.
func (s *Server) admit(admin http.Handler, reload func() (config.Changes, error), open func() bool) {
	s.mux.Handle("/api/v1/", guarded(open, admin))
	s.mux.Handle("POST /-/reload", guarded(open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // sinks may take shutdown_timeout to stop
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

// adminOpen reports whether the admin API is open: always on loopback, elsewhere
// with http.admin.
func adminOpen(c config.HTTPConfig) bool { return c.Admin || secret.Loopback(c.Address) }

// guarded refuses web pages of other sites: a browser on this machine may show an
// attacker's page, which must neither change nor read anything. Reads are checked
// like changes, since alerts are confidential.
func guarded(open func() bool, h http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asChange := *r
		asChange.Method = http.MethodPost
		switch {
		case !open():
			plain(w, http.StatusForbidden, "refused: other machines can reach http.address;"+
				" set http.admin: true to allow all of them, or listen on 127.0.0.1\n")
		case !plainHost(r.Host):
			plain(w, http.StatusForbidden, "refused: the Host header must be an IP address or localhost,"+
				" so that no web page of another site can read this\n")
		case protection.Check(&asChange) != nil:
			plain(w, http.StatusForbidden, "refused: the request comes from a web page of another site\n")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// plainHost reports whether a Host header is an IP address or localhost. A page
// that resolves its own name to this machine (DNS rebinding) sends that name.
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

// ownHostsOnly refuses foreign Host headers while only this machine can reach
// http.address, so that no web page in a browser here reads metrics and readiness by
// DNS rebinding. Other addresses serve every Host, since a collector may know them by
// any name; the network decides who reads them.
func (p pages) ownHostsOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secret.Loopback(p.Config().HTTP.Address) && r.URL.Path != "/healthz" && !plainHost(r.Host) && !p.ownHost(r.Host) {
			plain(w, http.StatusForbidden, wrongHost)
			return
		}
		h.ServeHTTP(w, r)
	})
}

const wrongHost = "refused: the Host header must be an IP address, localhost or the host of http.url," +
	" so that no web page of another site can read this\n"
