package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/aws"
	"github.com/mfawatch/mfawatch/sources/bucket"
	"github.com/mfawatch/mfawatch/sources/files"
)

// An input is a file or an object to read.
type input struct {
	place  string // as origins and errors name it
	id     string // identifies the unchanged input; "" if nothing does
	size   int64  // in bytes, as stored; -1 if unknown
	remote bool   // an object
	open   func(ctx context.Context) (io.ReadCloser, error)
}

// fetch returns the input in memory, or why it cannot be read.
func (i input) fetch(ctx context.Context) input {
	body, err := i.open(ctx)
	var all bytes.Buffer
	if err == nil {
		all.Grow(int(i.size) + bytes.MinRead)
		_, err = all.ReadFrom(body)
		_ = body.Close() // read only
	}
	i.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(all.Bytes())), err }
	return i
}

// isBucket reports whether a path is an S3 URI.
func isBucket(path string) bool { return strings.HasPrefix(path, bucket.Scheme) }

// PathMistakes returns a mistake for each invalid path.
func PathMistakes(paths []string) (wrong []config.Mistake) {
	for _, p := range paths {
		if isBucket(p) {
			if _, err := bucket.ParsePlace(p); err != nil {
				wrong = append(wrong, config.Mistake{Problem: err.Error()})
			}
		}
	}
	return wrong
}

// inputs lists the inputs at paths. Its functions are called one at a time.
type inputs struct {
	paths  []string
	wanted bucket.Wanted
	stdin  io.Reader
	sized  bool // the sizes and times of files are needed

	found  func(input)
	passed func(why bucket.PassedOver, folder bool) // an input outside the selection
	failed func(err error)                          // an input that cannot be read; the listing continues
}

// find lists the files first, then the objects of buckets, until ctx is done.
func (in *inputs) find(ctx context.Context) {
	local := slices.DeleteFunc(slices.Clone(in.paths), isBucket)
	for _, path := range local {
		there := false
		for f, err := range files.Walk([]string{path}) {
			there = true
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				in.failed(err)
			} else if why, ok := in.wanted.Pass(f.Place()); !ok {
				in.passed(why, false)
			} else {
				in.found(in.file(f))
			}
		}
		if !there {
			in.failed(fmt.Errorf("no file in %q is one of CloudTrail's; check the path", path))
		}
	}
	if len(local) == len(in.paths) {
		return
	}
	objects, err := reachS3(ctx)
	if err != nil {
		in.failed(err)
		return
	}
	for _, p := range in.paths {
		if isBucket(p) && ctx.Err() == nil {
			in.bucket(ctx, objects, p)
		}
	}
}

func (in *inputs) file(f files.File) input {
	i := input{place: f.Place(), size: -1}
	if f.Path == files.Stdin {
		i.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(in.stdin), nil }
	} else {
		i.open = func(context.Context) (io.ReadCloser, error) { return os.Open(f.Path) }
	}
	if !f.Regular {
		i.open = interruptible(i.open)
		return i
	}
	i.open = func(context.Context) (io.ReadCloser, error) { return openFile(f.Path) }
	i.id, i.size = f.Path, 0
	if in.sized {
		if info, err := os.Stat(f.Path); err == nil { // else it cannot be opened, which says why
			i.size = info.Size()
			i.id += " " + strconv.FormatInt(i.size, 10) + " " + strconv.FormatInt(info.ModTime().UnixNano(), 10)
		}
	}
	return i
}

// bucket lists the objects of one S3 URI.
func (in *inputs) bucket(ctx context.Context, objects *bucket.Objects, path string) {
	place, err := bucket.ParsePlace(path)
	if err != nil {
		in.failed(err)
		return
	}
	failed := false
	there := objects.List(ctx, place, bucket.Listing{
		Wanted: in.wanted,
		Found: func(l bucket.Listed) {
			in.found(input{
				place: l.String(), id: l.String() + " " + l.ETag, size: l.Size, remote: true,
				open: func(ctx context.Context) (io.ReadCloser, error) {
					body, err := objects.Open(ctx, l.Object)
					if err != nil {
						return nil, err // not a nil pointer in an interface
					}
					return body, nil
				},
			})
		},
		Passed: in.passed,
		Failed: func(err error) { failed = true; in.failed(err) },
	})
	if !there && !failed && ctx.Err() == nil {
		in.failed(fmt.Errorf("nothing lies at %q; check bucket and prefix", path))
	}
}

// attempts is how often a scan tries a request to S3, unless the environment sets
// it, so that throttling leaves no object out.
const attempts = 8

// reachS3 returns a client configured as AWS's own tools are.
func reachS3(ctx context.Context) (*bucket.Objects, error) {
	config, err := aws.Config{}.Load(ctx, "us-east-1", slog.New(slog.DiscardHandler)) // S3 names the bucket's own
	if err != nil {
		return nil, fmt.Errorf("reach S3: %w", err)
	}
	if config.RetryMaxAttempts == 0 && config.RetryMode == "" {
		config.Retryer = func() sdk.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.RateLimiter = attempts, ratelimit.None })
		}
	}
	return bucket.NewObjects(config), nil
}

// interruptible opens and reads in a goroutine, since a context can end neither.
// When ctx is done the reader ends; the goroutine ends with its read.
func interruptible(open func(context.Context) (io.ReadCloser, error)) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		out, in := io.Pipe()
		stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()) })
		go func() {
			defer stop()
			body, err := open(ctx)
			if err == nil {
				_, err = io.CopyBuffer(struct{ io.Writer }{in}, struct{ io.Reader }{body}, make([]byte, 256<<10))
				err = errors.Join(err, body.Close())
			}
			_ = in.CloseWithError(err) // nil is the end
		}()
		return out, nil
	}
}
