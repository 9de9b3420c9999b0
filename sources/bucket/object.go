package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mfawatch/mfawatch/sources"
)

// An Object names an object in S3.
type Object struct {
	Bucket  string
	Key     string // as it is, not encoded
	Version string // the newest if empty
	Region  string // of the bucket, where it is known
}

// String returns the URI that origins and errors name.
func (o Object) String() string { return "s3://" + o.Bucket + "/" + o.Key }

// An ObjectError is a failed read of an object, with its remedy.
type ObjectError struct {
	Fault  Fault
	Object Object
	Err    error
}

// Error returns one line that names the missing permission.
func (e *ObjectError) Error() string {
	text := "read " + e.Object.String() + ": "
	if help := e.help(); help != "" {
		text += help + ": "
	}
	return text + e.Err.Error()
}

// Unwrap returns the error of the SDK.
func (e *ObjectError) Unwrap() error { return e.Err }

func (e *ObjectError) help() string {
	switch e.Fault {
	case FaultMissing:
		return "it is not there"
	case FaultDenied:
		return "access denied: allow s3:GetObject (s3:GetObjectVersion for a version) on it in the role's policy and in the bucket's" +
			"; without s3:ListBucket an object that is not there is denied, too"
	case FaultKMS:
		return "its key may not be used: allow kms:Decrypt in the role's policy and in the key's, and see that the key is enabled"
	case FaultArchived:
		return "it lies in an archive: restore it first"
	case FaultCredentials:
		return "no credentials that AWS knows: give the machine a role, or set AWS_PROFILE"
	case FaultThrottled:
		return "S3 asks to slow down"
	case FaultRegion:
		return "the bucket is in another region, which S3 did not name: set region"
	case FaultChanged:
		return "it was overwritten while it was read"
	case FaultCorrupt:
		return "it is not what its checksum says"
	}
	return ""
}

// Objects reads objects of S3 as streams, in any region. Its methods are safe for
// concurrent use.
type Objects struct {
	// Backoff is how long to wait before the rest of an object is asked for, where
	// the last answer brought no byte of it.
	Backoff sources.Backoff

	calls Calls
	home  string // the client's region
	hints bool   // whether an Object's region is to be believed

	mu      sync.RWMutex
	regions map[string]string // of buckets that were looked for in the wrong one
}

// NewObjects returns a reader that reaches S3 as config says. It sends no request.
// A custom endpoint is addressed by path, since it has no host name per bucket.
func NewObjects(config aws.Config) *Objects {
	client := s3.NewFromConfig(config, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true // an object need not have one
	})
	o := Over(Calls{client.GetObject, client.ListObjectsV2}, config.Region)
	o.hints = client.Options().BaseEndpoint == nil
	return o
}

// Calls holds the methods of an S3 client that Objects calls. With the client
// itself here, the linker would keep all of its methods.
type Calls struct {
	Get  func(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	List func(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Over returns a reader over the calls of a client in region.
func Over(calls Calls, region string) *Objects {
	return &Objects{Backoff: sources.DefaultBackoff, calls: calls, home: region, hints: true, regions: make(map[string]string)}
}

// inRegion calls f with the known region of the object's bucket, "" for the client's
// own. If the answer names another region, inRegion remembers it and calls f once more.
// The error is f's.
func (o *Objects) inRegion(object Object, f func(region string) error) error {
	o.mu.RLock()
	region := o.regions[object.Bucket]
	o.mu.RUnlock()
	if region == "" && o.hints && object.Region != o.home {
		region = object.Region
	}
	err := f(region)
	if err == nil || FaultOf(err) != FaultRegion {
		return err
	}
	right := regionOf(err)
	if right == "" || right == region {
		return err
	}
	o.mu.Lock()
	o.regions[object.Bucket] = right
	o.mu.Unlock()
	return f(right)
}

// Open asks for an object. The error is an *ObjectError, after the SDK's own
// retries. The body has to be closed; it ends with an error when ctx is done.
func (o *Objects) Open(ctx context.Context, object Object) (*Body, error) {
	b := &Body{objects: o, ctx: ctx, object: object}
	if err := b.ask(); err != nil {
		return nil, err
	}
	return b, nil
}

// Body reads an object's bytes, as they are stored. After a broken connection it
// resumes at the same byte, if the object is unchanged.
type Body struct {
	objects *Objects
	ctx     context.Context
	object  Object

	body     io.ReadCloser // nil: to be asked for
	etag     string        // of the object that was opened
	size     int64         // negative: not known
	read     int64
	resumed  int
	fruitful bool // a byte came since it was asked last
	broken   error
	err      error // the end
}

// maxResumes bounds the requests for the rest of an object after a broken connection.
const maxResumes = 10

// Read is an io.Reader. An error other than io.EOF is an *ObjectError.
func (b *Body) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.body == nil {
			if b.err = b.resume(); b.err != nil {
				break
			}
		}
		n, err := b.body.Read(p)
		b.read += int64(n)
		b.fruitful = b.fruitful || n > 0
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && (b.size < 0 || b.read >= b.size):
			b.err = io.EOF
		case b.size >= 0 && b.read >= b.size: // all is there, and is not what it should be
			b.err = b.fail(FaultCorrupt, err)
		default:
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			_ = b.body.Close() // broken
			b.body, b.broken = nil, err
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, b.err
}

// Size returns the size of the object in bytes, negative if unknown.
func (b *Body) Size() int64 { return b.size }

// ETag returns the ETag of the object that was opened, as S3 writes it.
func (b *Body) ETag() string { return b.etag }

// Err returns the error that ended the stream, nil at its end or before.
func (b *Body) Err() error {
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// Resumed returns how often the stream was resumed on a new connection.
func (b *Body) Resumed() int { return b.resumed }

// Close gives the connection back, or closes it if the body was not read to its
// end.
func (b *Body) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}

func (b *Body) fail(fault Fault, err error) error {
	return &ObjectError{Fault: fault, Object: b.object, Err: err}
}

// resume requests the rest of the object, after b.broken.
func (b *Body) resume() error {
	switch {
	case b.ctx.Err() != nil:
		return b.fail(FaultNetwork, b.ctx.Err())
	case b.resumed >= maxResumes:
		return b.fail(FaultNetwork, fmt.Errorf("the connection broke again and again, last after %d of %d bytes: %w", b.read, b.size, b.broken))
	case b.etag == "" && b.object.Version == "":
		return b.fail(FaultNetwork, fmt.Errorf("the connection broke after %d bytes, and without an ETag the rest may be another's: %w", b.read, b.broken))
	}
	b.resumed++
	if !b.fruitful {
		waits := b.objects.Backoff.Start()
		for range min(b.resumed, 6) - 1 {
			waits.NextBackOff()
		}
		if err := sources.Sleep(b.ctx, waits.NextBackOff()); err != nil {
			return b.fail(FaultNetwork, err)
		}
	}
	return b.ask()
}

// ask requests the object, or the rest of it.
func (b *Body) ask() error {
	in := s3.GetObjectInput{Bucket: &b.object.Bucket, Key: &b.object.Key}
	if b.object.Version != "" {
		in.VersionId = &b.object.Version
	}
	rest := b.broken != nil
	if rest {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", b.read))
		if b.etag != "" {
			in.IfMatch = &b.etag
		}
	}
	var out *s3.GetObjectOutput
	err := b.objects.inRegion(b.object, func(region string) (err error) {
		if region == "" && !rest {
			out, err = b.objects.calls.Get(b.ctx, &in)
			return err
		}
		out, err = b.objects.calls.Get(b.ctx, &in, func(o *s3.Options) {
			if region != "" {
				o.Region = region
			}
			if rest { // the checksum is the whole object's
				o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
			}
		})
		return err
	})
	if err != nil {
		return b.fail(FaultOf(err), err)
	}
	if rest && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", b.read)) {
		_ = out.Body.Close() // not what was asked for
		return b.fail(FaultNetwork, fmt.Errorf("the connection broke after %d bytes, and the server does not send the rest alone: %w", b.read, b.broken))
	}
	if !rest {
		b.etag, b.size = aws.ToString(out.ETag), -1
		if out.ContentLength != nil {
			b.size = *out.ContentLength
		}
	}
	b.body, b.fruitful = out.Body, false
	return nil
}
