package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/connlimit"
)

// An access decides who may use the API of one server.
type access struct {
	config func() config.HTTPConfig
	local  func() bool // only this machine can reach the server
}

// admit adds the API and /-/reload.
func (s *Server) admit(api http.Handler, reload func() (config.Changes, error), a access) {
	s.mux.Handle("/api/v1/", a.guard(api))
	s.mux.Handle("POST /-/reload", a.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // sinks may take shutdown_timeout to stop
		c, err := reload()
		if _, mistaken := errors.AsType[*config.Error](err); mistaken {
			plain(w, http.StatusBadRequest, err.Error()+"\n")
			return
		}
		answer(w, c, err)
	})))
}

// open reports whether the API is open without a token: always to this machine
// alone, to others with http.admin.
func (a access) open() bool { return a.local() || a.config().Admin }

// guard admits requests with the token of http.token_file, and where the API is
// open, all others except those of web pages of other sites: a browser on this
// machine may show an attacker's page, which must neither change nor read
// anything. Reads are checked like changes, since alerts are confidential. A page
// cannot know the token, so a request with it needs no such check.
func (a access) guard(h http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asChange := *r
		asChange.Method = http.MethodPost
		shown, has := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		has = has && a.config().TokenFile != ""
		switch {
		case has && a.proves(shown):
			connlimit.Prove(r.Context())
			h.ServeHTTP(w, r)
		case strings.HasPrefix(r.Header.Get("Authorization"), signedScheme):
			if a.signed(r) {
				h.ServeHTTP(w, r)
				return
			}
			plain(w, http.StatusUnauthorized, "refused: the signature is wrong: give all replicas the same http.token_file, and clocks that agree\n")
		case has:
			w.Header().Set("WWW-Authenticate", `Bearer realm="mfawatch"`)
			plain(w, http.StatusUnauthorized, "refused: the token is not that of http.token_file, or that file cannot be read\n")
		case !a.open():
			plain(w, http.StatusForbidden, "refused: other machines can reach http.address; send the token of http.token_file"+
				" (Authorization: Bearer), ask on this machine at http.admin_address, or set http.admin: true to allow everybody\n")
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

// proves reports whether a token is that of http.token_file, in a time that says
// nothing of it.
func (a access) proves(shown string) bool {
	token, err := a.config().Token()
	ours, theirs := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(ours[:], theirs[:]) == 1 && err == nil && token != ""
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
// the server, so that no web page in a browser here reads metrics and readiness by
// DNS rebinding. Other addresses serve every Host, since a collector may know them by
// any name; the network decides who reads them.
func (p pages) ownHostsOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if p.local() && r.URL.Path != "/healthz" && !plainHost(r.Host) && !p.ownHost(r.Host) {
			plain(w, http.StatusForbidden, wrongHost)
			return
		}
		h.ServeHTTP(w, r)
	})
}

const wrongHost = "refused: the Host header must be an IP address, localhost or the host of http.url," +
	" so that no web page of another site can read this\n"
