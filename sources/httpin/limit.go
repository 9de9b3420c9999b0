package httpin

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A limiter bounds the connections of a listener, in all and per address. Above a
// bound the oldest connection of a stranger makes room; senders that have shown a
// token keep theirs.
type limiter struct {
	net.Listener
	all, perAddress int
	patience        time.Duration // until a token was shown
	refused         prometheus.Counter

	mu    sync.Mutex
	conns map[*limited]struct{}
}

// A limited is a connection that its limiter counts.
type limited struct {
	net.Conn
	limiter  *limiter
	address  netip.Addr
	accepted time.Time
	timer    *time.Timer // closes the connection of a stranger
	read     int         // bytes, counted until a token was shown; of its reader alone

	// Guarded by limiter.mu.
	proven bool // a token was shown
	large  bool // it has sent more than strangerBytes without one
}

// Accept implements net.Listener.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limited{Conn: conn, limiter: l, accepted: time.Now()}
		if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			c.address = network(at.Addr())
		}
		if evicted, ok := l.admit(c); ok {
			if evicted != nil {
				l.refused.Inc()
				_ = evicted.Close() // of a stranger
			}
			return c, nil
		}
		l.refused.Inc()
		_ = conn.Close() // nothing was read
	}
}

// network returns the address that is counted: for IPv6 the /64, since one host
// has all of it.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// admit counts c and returns the stranger that makes room for it, if one has to.
// It returns false if all connections in the way have shown a token.
func (l *limiter) admit(c *limited) (evicted *limited, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := 0
	var oldest, oldestSame *limited
	for o := range l.conns {
		if o.address == c.address {
			same++
			oldestSame = older(oldestSame, o)
		}
		oldest = older(oldest, o)
	}
	switch {
	case same >= l.perAddress:
		evicted = oldestSame
	case len(l.conns) >= l.all:
		evicted = oldest
	default:
		l.add(c)
		return nil, true
	}
	if evicted == nil {
		return nil, false
	}
	delete(l.conns, evicted)
	l.add(c)
	return evicted, true
}

// older returns the older one of two strangers; o counts if it is one.
func older(oldest, o *limited) *limited {
	if o.proven || oldest != nil && oldest.accepted.Before(o.accepted) {
		return oldest
	}
	return o
}

func (l *limiter) add(c *limited) {
	l.conns[c] = struct{}{}
	c.timer = time.AfterFunc(l.patience, func() {
		l.refused.Inc()
		_ = c.Close() // of a stranger
	})
}

// Read implements net.Conn. A stranger that sends much needs one of few places, so
// that unfinished headers take little memory.
func (c *limited) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read <= strangerBytes {
		if c.read += n; c.read > strangerBytes {
			c.limiter.grow(c)
		}
	}
	return n, err
}

// grow lets c be large, unless it is proven. The oldest large stranger makes room.
func (l *limiter) grow(c *limited) {
	l.mu.Lock()
	if c.proven {
		l.mu.Unlock()
		return
	}
	c.large = true
	large := 0
	var oldest *limited
	for o := range l.conns {
		if o.large && !o.proven {
			large++
			oldest = older(oldest, o)
		}
	}
	l.mu.Unlock()
	if large > largeStrangers {
		l.refused.Inc()
		_ = oldest.Close() // of a stranger
	}
}

// Close implements net.Conn.
func (c *limited) Close() error {
	c.limiter.mu.Lock()
	delete(c.limiter.conns, c)
	c.timer.Stop()
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// prove records that the sender may post.
func (c *limited) prove() {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.proven = true
	c.timer.Stop()
}

type limitedKey struct{}

// withConn is an http.Server's ConnContext: it makes the connection known to
// proved.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	return context.WithValue(ctx, limitedKey{}, conn)
}

// proved records that the sender of a request may post.
func proved(ctx context.Context) {
	if c, ok := ctx.Value(limitedKey{}).(*limited); ok {
		c.prove()
	}
}
