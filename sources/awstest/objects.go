package awstest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An object is bytes, or a function that makes them for each request.
type object struct {
	open func() io.Reader
	size int64
	etag string

	written time.Time
}

// Put keeps an object.
func (s *Server) Put(bucket, key string, body []byte) {
	sum := md5.Sum(body)
	s.PutStream(bucket, key, hex.EncodeToString(sum[:]), int64(len(body)), func() io.Reader { return bytes.NewReader(body) })
}

// PutStream keeps an object that is made for each request, so that it may
// be large.
func (s *Server) PutStream(bucket, key, etag string, size int64, open func() io.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[bucket+"/"+key] = &object{open: open, size: size, etag: `"` + etag + `"`, written: time.Now()}
}

// Date sets when an object was written.
func (s *Server) Date(bucket, key string, written time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[bucket+"/"+key].written = written
}

// Remove takes an object away.
func (s *Server) Remove(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, bucket+"/"+key)
}

// KeepVersion keeps the object that is there as a version, to be had after it was
// overwritten or removed.
func (s *Server) KeepVersion(bucket, key, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[bucket+"/"+key+"?"+version] = s.objects[bucket+"/"+key]
}

func (s *Server) serveObject(w http.ResponseWriter, r *http.Request, call Call, f Fault) {
	s.mu.Lock()
	o := s.objects[call.Bucket+"/"+call.Key]
	if version := call.Query.Get("versionId"); version != "" {
		o = s.versions[call.Bucket+"/"+call.Key+"?"+version]
	}
	s.mu.Unlock()
	if o == nil {
		deny(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	if match := r.Header.Get("If-Match"); match != "" && match != o.etag {
		deny(w, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		return
	}
	from, status := int64(0), http.StatusOK
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		start, _ := strings.CutSuffix(text, "-")
		n, err := strconv.ParseInt(start, 10, 64)
		if err != nil || n >= o.size {
			deny(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
			return
		}
		from, status = n, http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, o.size-1, o.size))
	}
	body := o.open()
	if _, err := io.CopyN(io.Discard, body, from); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Etag", o.etag)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(o.size-from, 10))
	w.WriteHeader(status)
	if f.Cut > 0 {
		_, _ = io.CopyN(w, body, int64(f.Cut))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = io.Copy(w, body)
}

// Noise returns n bytes that do not compress, the same ones each time.
func Noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}
