// Package connlimit bounds the connections of a listener, in all and per address,
// so that strangers exhaust neither memory nor file descriptors. Above a bound the
// oldest connection of a stranger makes room; clients that have shown a token keep
// theirs.
package connlimit

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The bounds of every listener.
const (
	All        = 512      // connections in all
	PerAddress = 128      // of one address, which may be a load balancer's
	bytesRead  = 24 << 10 // of a connection before a token is known: 16 KiB of headers, and TLS
	large      = 32       // connections that may be over it, for Firehose
)

// A Listener bounds the connections of a listener.
type Listener struct {
	net.Listener
	all, perAddress int
	patience        time.Duration
	refused         func()

	mu    sync.Mutex
	conns map[*limited]struct{}
}

// New returns l with the bounds. A connection of a stranger ends after patience;
// 0: never. The Listener calls refused for each connection that it closes.
func New(l net.Listener, patience time.Duration, refused func()) *Listener {
	return &Listener{Listener: l, all: All, perAddress: PerAddress, patience: patience, refused: refused, conns: map[*limited]struct{}{}}
}

// A limited is a connection that its Listener counts.
type limited struct {
	net.Conn
	listener *Listener
	address  netip.Addr
	accepted time.Time
	timer    *time.Timer // closes the connection of a stranger; nil: nothing does
	read     int         // bytes, counted until a token was shown; of its reader alone

	// Guarded by Listener.mu.
	proven bool // a token was shown
	large  bool // it has sent more than bytesRead without one
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limited{Conn: conn, listener: l, accepted: time.Now()}
		if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			c.address = network(at.Addr())
		}
		if evicted, ok := l.admit(c); ok {
			if evicted != nil {
				l.refused()
				_ = evicted.Close() // of a stranger
			}
			return c, nil
		}
		l.refused()
		_ = conn.Close() // nothing was read
	}
}

// network returns the address that is counted: for IPv6 the /64, since one host
// has all of it.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64) // which every address of IPv6 has
	return p.Addr()
}

// admit counts c and returns the stranger that makes room for it, if one has to.
// It returns false if all connections in the way have shown a token.
func (l *Listener) admit(c *limited) (evicted *limited, ok bool) {
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

func (l *Listener) add(c *limited) {
	l.conns[c] = struct{}{}
	if l.patience == 0 {
		return
	}
	c.timer = time.AfterFunc(l.patience, func() {
		l.refused()
		_ = c.Close() // of a stranger
	})
}

// Read implements net.Conn. A stranger that sends much needs one of few places, so
// that unfinished headers take little memory.
func (c *limited) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read <= bytesRead {
		if c.read += n; c.read > bytesRead {
			c.listener.grow(c)
		}
	}
	return n, err
}

// grow lets c be large, unless it is proven. The oldest large stranger makes room.
func (l *Listener) grow(c *limited) {
	l.mu.Lock()
	if c.proven {
		l.mu.Unlock()
		return
	}
	c.large = true
	n := 0
	var oldest *limited
	for o := range l.conns {
		if o.large && !o.proven {
			n++
			oldest = older(oldest, o)
		}
	}
	l.mu.Unlock()
	if n > large {
		l.refused()
		_ = oldest.Close() // of a stranger
	}
}

// Close implements net.Conn.
func (c *limited) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.stopTimer()
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// prove records that the client has shown a token.
func (c *limited) prove() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.proven = true
	c.stopTimer()
}

func (c *limited) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

type limitedKey struct{}

// WithConn is an http.Server's ConnContext: it makes the connection known to
// Prove.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	return context.WithValue(ctx, limitedKey{}, conn)
}

// Prove records that the client of a request has shown a token.
func Prove(ctx context.Context) {
	if c, ok := ctx.Value(limitedKey{}).(*limited); ok {
		c.prove()
	}
}
