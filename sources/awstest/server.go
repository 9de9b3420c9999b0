// Package awstest is an S3 and an SQS in the process, for tests: they speak the
// real protocols over a connection, and fail on demand.
package awstest

import (
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Call is a request, as faults see it.
type Call struct {
	Operation string // GetObject, ReceiveMessage, …
	Bucket    string
	Key       string
	Query     url.Values
	Number    int // of the operation, from 1
	Header    http.Header
	Body      []byte // of a request to SQS
}

// A Fault is the mishap of a call; the zero value is none.
type Fault struct {
	Delay   time.Duration // before the answer
	Status  int           // the answer is this status, with
	Code    string        // this code
	Message string
	Region  string // in S3's header about the bucket's region
	Reset   bool   // the connection breaks: before anything is done, or with
	Cut     int    // after so many bytes of the body, if more than none
	Undone  bool   // with Reset: it is done all the same, and only the answer is lost
}

// A Server is an S3 and an SQS. Its methods may be called at any time.
type Server struct {
	// URL is where it listens.
	URL string
	// Fault decides what goes wrong, if it is set. It is set before the first
	// request, and may be called by several goroutines concurrently.
	Fault func(Call) Fault
	// PageSize is how many keys a list's page has at most; 1000 if it is zero. It
	// is set before the first request.
	PageSize int
	// EmptyPages has every list begin with a page of nothing, and say that there
	// is more. It is set before the first request.
	EmptyPages bool

	server   *http.Server
	dial     func(ctx context.Context) (net.Conn, error)
	served   sync.WaitGroup
	mu       sync.Mutex
	objects  map[string]*object // by bucket/key
	versions map[string]*object // by bucket/key?version
	queue    queue
	calls    map[string]int
}

// New starts a server on a free port of the loopback address.
func New() *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("awstest: " + err.Error())
	}
	return serve(listener, nil)
}

// Start starts a server that is closed when the test ends.
func Start(t testing.TB) *Server {
	s := New()
	t.Cleanup(s.Close)
	return s
}

// NewInMemory starts a server without a port, for a test inside a bubble of
// testing/synctest: only clients made with Config reach it.
func NewInMemory() *Server {
	l := &pipe{connections: make(chan net.Conn), closed: make(chan struct{})}
	return serve(l, l.dial)
}

func serve(listener net.Listener, dial func(context.Context) (net.Conn, error)) *Server {
	s := &Server{URL: "http://" + listener.Addr().String(), dial: dial, objects: map[string]*object{}, versions: map[string]*object{}, calls: map[string]int{}}
	s.queue.changed = make(chan struct{})
	s.server = &http.Server{Handler: s}
	s.served.Go(func() { _ = s.server.Serve(listener) })
	return s
}

// Close breaks all connections and stops listening.
func (s *Server) Close() {
	_ = s.server.Close()
	s.served.Wait()
}

// Config reaches the server, without retries of the SDK's unless more than one
// attempt is wanted.
func (s *Server) Config(attempts int) aws.Config {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	if s.dial != nil {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx) }
	}
	return aws.Config{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(s.URL),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: attempts,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "test"}, nil
		}),
	}
}

// Calls is how often an operation was called.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// ServeHTTP distinguishes the services.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := Call{Header: r.Header}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, call.Operation, _ = strings.Cut(target, ".")
		call.Body, _ = io.ReadAll(r.Body)
	} else {
		call.Operation = "GetObject"
		call.Bucket, call.Key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		call.Query = r.URL.Query()
		if call.Query.Has("list-type") {
			call.Operation = "ListObjectsV2"
		}
	}
	s.mu.Lock()
	s.calls[call.Operation]++
	call.Number = s.calls[call.Operation]
	s.mu.Unlock()
	var f Fault
	if s.Fault != nil {
		f = s.Fault(call)
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
	}
	switch {
	case f.Reset && f.Cut == 0 && !f.Undone:
		panic(http.ErrAbortHandler)
	case f.Reset && f.Undone:
		w = httptest.NewRecorder() // which is not sent
	case f.Status != 0 && call.Bucket == "":
		refuse(w, f.Status, f.Code, f.Message)
		return
	case f.Status != 0:
		if f.Region != "" {
			w.Header().Set("X-Amz-Bucket-Region", f.Region)
		}
		deny(w, f.Status, f.Code, f.Message)
		return
	}
	if call.Operation == "ListObjectsV2" {
		s.serveList(w, call.Bucket, call.Query)
	} else if call.Bucket != "" {
		s.serveObject(w, r, call, f)
	} else {
		s.serveQueue(w, r, call)
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
}

// deny is S3's way to say no.
func deny(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
}

// A pipe is a listener in memory.
type pipe struct {
	connections chan net.Conn
	once        sync.Once
	closed      chan struct{}
}

func (p *pipe) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.connections <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept is a net.Listener's.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close is a net.Listener's.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr is a net.Listener's.
func (p *pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
