package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Scheme is how the place of an object, or of many, begins.
const Scheme = "s3://"

// Place is a bucket and a prefix of the keys in it.
type Place struct{ Name, Prefix string }

// ParsePlace reads s3://bucket/prefix.
func ParsePlace(place string) (Place, error) {
	rest, ok := strings.CutPrefix(place, Scheme)
	name, prefix, _ := strings.Cut(rest, "/")
	if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return Place{}, fmt.Errorf("want s3://bucket or s3://bucket/prefix, got %q", place)
	}
	return Place{name, prefix}, nil
}

// String returns the place as a URI.
func (b Place) String() string { return Scheme + b.Name + "/" + b.Prefix }

// A Listed is an object that was found in a bucket.
type Listed struct {
	Object
	Size     int64
	ETag     string
	Modified time.Time // when it was written there; a copy is written later than what it is a copy of
}

// A Listing receives the results of a list. Its functions are called one at a time;
// while one of them blocks, no further request is made.
type Listing struct {
	Wanted
	Found  func(Listed)                      // an object to read
	Passed func(why PassedOver, folder bool) // an object or folder that is not read
	Failed func(err error)                   // a folder that could not be listed
}

// listConcurrency is how many requests run concurrently, and into how many parts
// the days of a large region are divided.
const listConcurrency = 16

// A ListError is a failed list of part of a bucket, with its remedy.
type ListError struct {
	Fault Fault
	Place Place
	Err   error
}

// Error returns one line that names the missing permission.
func (e *ListError) Error() string {
	text := "list " + e.Place.String() + ": "
	switch e.Fault {
	case FaultMissing:
		text += "there is no such bucket: "
	case FaultDenied:
		text += "access denied: allow s3:ListBucket on the bucket " + e.Place.Name + " in the role's policy and in the bucket's: "
	case FaultCredentials:
		text += "no credentials that AWS knows: set AWS_PROFILE, or sign in again: "
	case FaultThrottled:
		text += "S3 asks to slow down: "
	case FaultRegion:
		text += "the bucket is in another region, which S3 did not name: set AWS_REGION: "
	}
	return text + e.Err.Error()
}

// Unwrap returns the error of the SDK.
func (e *ListError) Unwrap() error { return e.Err }

// List lists the wanted objects at a place. In CloudTrail's own tree it lists folder by
// folder, several concurrently, without those of other accounts, Regions and days. Keys
// of another form are listed as they are. The place may lie inside the tree, or name
// one object; if it ends without a slash and a folder has that name, it is the folder.
// List returns when everything is listed, or ctx is done. A folder that fails is passed
// to l.Failed, and the others are listed. There is false if nothing lies at the place,
// wanted or not, as far as List has read.
func (o *Objects) List(ctx context.Context, place Place, l Listing) (there bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := &lister{objects: o, bucket: place.Name, Listing: l, stop: stop}
	w.first, w.last = l.days()
	w.idle = sync.NewCond(&w.mu)
	w.push(w.start(place.Prefix))
	var workers sync.WaitGroup
	for range listConcurrency {
		workers.Go(func() { w.work(ctx) })
	}
	workers.Wait()
	return w.there
}

// A lister works through a stack of tasks. The last task pushed is the first done,
// so that the stack stays small however large the bucket is.
type lister struct {
	Listing
	objects     *Objects
	bucket      string
	first, last time.Time // days
	stop        context.CancelFunc

	mu     sync.Mutex // guards what follows
	idle   *sync.Cond
	tasks  []task
	active int
	there  bool // something lies at the place

	callbacks sync.Mutex // held while one of the Listing's functions is called
}

// A task lists something, and pushes further tasks.
type task func(ctx context.Context) error

func (w *lister) push(tasks ...task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks = append(w.tasks, tasks...)
	w.idle.Broadcast()
}

func (w *lister) work(ctx context.Context) {
	for t := w.next(ctx); t != nil; t = w.next(ctx) {
		err := t(ctx)
		if err != nil && ctx.Err() == nil {
			w.callbacks.Lock()
			w.Failed(err)
			w.callbacks.Unlock()
			if le, ok := errors.AsType[*ListError](err); ok && le.Fault == FaultCredentials {
				w.stop() // the other tasks would fail alike
			}
		}
		w.mu.Lock()
		w.active--
		w.idle.Broadcast()
		w.mu.Unlock()
	}
}

// next waits for a task. It returns nil at the end.
func (w *lister) next(ctx context.Context) task {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.tasks) == 0 && w.active > 0 {
		w.idle.Wait()
	}
	last := len(w.tasks) - 1
	if last < 0 || ctx.Err() != nil {
		w.tasks = nil
		return nil
	}
	t := w.tasks[last]
	w.tasks = w.tasks[:last]
	w.active++
	return t
}

// found passes wanted objects to the Listing.
func (w *lister) found(objects []Listed) {
	w.callbacks.Lock()
	defer w.callbacks.Unlock()
	for _, l := range objects {
		why, ok := w.Pass(l.Key)
		switch {
		case l.Size == 0:
			why, ok = PassedEmpty, false
		case ok && l.Modified.Before(w.Since): // and so is all that is in it
			why, ok = PassedDay, false
		}
		if ok {
			w.Found(l)
		} else {
			w.Passed(why, false)
		}
	}
}

func (w *lister) passedFolder(why PassedOver) {
	w.callbacks.Lock()
	defer w.callbacks.Unlock()
	w.Passed(why, true)
}

// A page is one answer.
type page struct {
	objects []Listed
	folders []string // up to the delimiter
	more    string   // the token of the next page, "" at the end
}

var errNoNextPage = errors.New("the answer breaks off and names no next page, so objects may be missing")

// ask lists the keys that begin with prefix and follow after, up to the delimiter.
func (w *lister) ask(ctx context.Context, prefix, after, delimiter, token string) (page, error) {
	// Encoded, since a key may hold what XML cannot.
	in := s3.ListObjectsV2Input{Bucket: &w.bucket, Prefix: optional(prefix), Delimiter: optional(delimiter), EncodingType: types.EncodingTypeUrl}
	if in.ContinuationToken = optional(token); token == "" {
		in.StartAfter = optional(after)
	}
	var out *s3.ListObjectsV2Output
	err := w.objects.inRegion(Object{Bucket: w.bucket}, func(region string) (err error) {
		out, err = w.objects.calls.List(ctx, &in, func(o *s3.Options) { o.Region = cmp.Or(region, o.Region) })
		return err
	})
	if err != nil {
		return page{}, &ListError{FaultOf(err), Place{w.bucket, prefix}, err}
	}
	var p page
	key := func(s *string) string {
		text := aws.ToString(s)
		if out.EncodingType == types.EncodingTypeUrl {
			if plain, err := url.QueryUnescape(text); err == nil {
				return plain
			}
		}
		return text
	}
	for _, o := range out.Contents {
		p.objects = append(p.objects, Listed{
			Object: Object{Bucket: w.bucket, Key: key(o.Key)},
			Size:   aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified),
		})
	}
	for _, f := range out.CommonPrefixes {
		p.folders = append(p.folders, key(f.Prefix))
	}
	if len(p.objects)+len(p.folders) > 0 {
		w.isThere()
	}
	if p.more = aws.ToString(out.NextContinuationToken); p.more == "" && aws.ToBool(out.IsTruncated) {
		err = &ListError{FaultServer, Place{w.bucket, prefix}, errNoNextPage}
	}
	return p, err
}

func (w *lister) isThere() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there = true
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
