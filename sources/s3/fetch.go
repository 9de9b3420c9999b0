package s3

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/inflate"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// smallObject is the size up to which an object is read before a scanner is
// acquired, so few scanners serve many downloads. Most objects of CloudTrail have
// a few kilobytes.
const smallObject = 64 << 10

// A fetched object is bytes, if it is small, a body, or an error.
type fetched struct {
	object bucket.Object // in the reading of its key that was there
	bytes  []byte        // the worker's buffer, good until the next one is fetched
	body   *bucket.Body
	err    error
}

// fetch opens an object. If it is missing, fetch tries the other reading of its
// key once.
func (a *attempt) fetch(o namedObject) *fetched {
	f := &fetched{object: o.Object}
	f.body, f.err = a.run.objects.Open(a.ctx, f.object)
	if o.other != "" && isAbsent(f.err) {
		other := o.Object
		other.Key = o.other
		if body, err := a.run.objects.Open(a.ctx, other); !isAbsent(err) {
			f.object, f.body, f.err = other, body, err
		}
	}
	if o.version != "" && (isAbsent(f.err) || f.err == nil && o.etag != "" && strings.Trim(f.body.ETag(), `"`) != o.etag) {
		a.openNotified(o.version, f)
	}
	if f.err != nil {
		return f
	}
	a.metrics.objects.Inc()
	size := f.body.Size()
	if size < 0 || size > smallObject {
		return f
	}
	if int64(cap(a.buf)) <= size {
		a.buf = make([]byte, min(2*size+1, smallObject+1)) // one more, to see its end
	}
	n := 0
	for f.err == nil && n < cap(a.buf) {
		var m int
		m, f.err = f.body.Read(a.buf[n:cap(a.buf)])
		n += m
	}
	f.bytes = a.buf[:n]
	if errors.Is(f.err, io.EOF) {
		f.err = nil
	}
	_ = f.body.Close() // all was read
	a.metrics.resumed.Add(float64(f.body.Resumed()))
	f.body = nil
	return f
}

// openNotified opens the version of an object that was notified, as the newest is
// another by now, or gone: a writer to the bucket could hide records so. If the version
// cannot be read, the newest is.
func (a *attempt) openNotified(version string, f *fetched) {
	notified := f.object
	notified.Version = version
	body, err := a.run.objects.Open(a.ctx, notified)
	if oe, ok := errors.AsType[*bucket.ObjectError](err); ok && ownFault(oe.Fault) {
		a.metrics.objectErrors.WithLabelValues(string(bucket.FaultChanged)).Inc()
		a.warn.Do(func() {
			a.log.Error("object was overwritten or deleted since its notification, and the version notified cannot be read: records may be missing; "+
				"allow s3:GetObjectVersion, and see who writes to the bucket", "object", notified.String(), "version", safetext.Clean(version, 100), "err", err)
		})
		return
	}
	if f.body != nil {
		_ = f.body.Close() // nothing of it is read
	}
	f.object, f.body, f.err = notified, body, err
}

// isAbsent reports whether an object may be missing. Without the permission to
// list a bucket, S3 answers that access to a missing object is denied.
func isAbsent(err error) bool {
	oe, ok := errors.AsType[*bucket.ObjectError](err)
	return ok && (oe.Fault == bucket.FaultMissing || oe.Fault == bucket.FaultDenied)
}

// Reasons for which objects are skipped, besides the KeyKinds that are no records.
const (
	skippedFolder  = "folder" // the marker of one
	skippedBucket  = "bucket"
	skippedAccount = "account"
	skippedRegion  = "region"
	skippedPrefix  = "prefix"
)

var skipReasons = []string{
	string(bucket.KeyDigest), string(bucket.KeyInsight), string(bucket.KeyNetworkActivity), string(bucket.KeyAggregated), string(bucket.KeyForeign),
	skippedFolder, skippedBucket, skippedAccount, skippedRegion, skippedPrefix,
}

// choose returns the objects to read, and counts the others.
func (a *attempt) choose(named []namedObject) []namedObject {
	read := named[:0]
	for _, o := range named {
		reason := a.skip(o.Object)
		if reason == "" || a.audited(o, reason) {
			read = append(read, o)
			continue
		}
		a.metrics.skipped.WithLabelValues(reason).Inc()
		if reason == skippedBucket {
			a.warn.Do(func() {
				a.log.Warn("message names an object in a bucket that is not configured; it is skipped unread, check buckets and who may send to the queue",
					"message", a.m.id, "object", o.Object.String())
			})
		}
	}
	return read
}

// skip returns why an object is not read, "" if it is read.
func (s *Source) skip(o bucket.Object) string {
	if len(s.config.Buckets) > 0 && !slices.Contains(s.config.Buckets, o.Bucket) {
		return skippedBucket
	}
	key := o.Key
	if strings.HasSuffix(key, "/") {
		return skippedFolder
	}
	if len(s.config.Prefixes) > 0 && !slices.ContainsFunc(s.config.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
		return skippedPrefix
	}
	k, known := bucket.ParseKey(key)
	switch {
	case !known: // a key of unknown form is read (R33)
		return ""
	case k.Kind != bucket.KeyRecords:
		return string(k.Kind)
	case len(s.config.Accounts) > 0 && !slices.Contains(s.config.Accounts, k.Account):
		return skippedAccount
	case len(s.config.Regions) > 0 && !slices.Contains(s.config.Regions, k.Region):
		return skippedRegion
	}
	return ""
}

// audited reads a sample of the objects that a filter skips, and reports whether
// the object has to be read after all (R34). Objects of other accounts are never
// sampled, since they hold records of IAM of their own.
func (a *attempt) audited(o namedObject, reason string) (needed bool) {
	if a.config.AuditEvery == 0 || reason != skippedRegion && reason != skippedPrefix {
		return false
	}
	if a.skipped.Add(1)%uint64(a.config.AuditEvery) != 1%uint64(a.config.AuditEvery) {
		return false
	}
	body, err := a.run.objects.Open(a.ctx, o.Object)
	if err != nil {
		return false // it is only a check
	}
	defer body.Close()
	a.metrics.audited.Inc()
	if !holdsIAM(body) {
		return false
	}
	a.metrics.alarms.Inc()
	a.log.Error("a filter skips objects that hold records of IAM, so deactivations may be missed; check regions and prefixes", "object", o.Object.String(), "filter", reason)
	return true
}

// The member of a record of IAM, as CloudTrail writes it.
var iamSource = []byte(`"eventSource":"iam.amazonaws.com"`)

// maxAudited bounds the part of an object that the audit reads.
const maxAudited = 1 << 30

// holdsIAM reports whether an object holds a record of IAM.
func holdsIAM(r io.Reader) bool {
	buf := make([]byte, 64<<10)
	n, err := io.ReadFull(r, buf[:2])
	if err != nil {
		return false
	}
	whole := io.MultiReader(bytes.NewReader(bytes.Clone(buf[:n])), r)
	if trail.Sniff(buf[:n]) == trail.FormGzip {
		whole = inflate.NewReader(whole, inflate.Gzip)
	}
	whole = io.LimitReader(whole, maxAudited)
	for kept := 0; ; {
		n, err := whole.Read(buf[kept:])
		window := buf[:kept+n]
		if bytes.Contains(window, iamSource) {
			return true
		}
		if err != nil {
			return false
		}
		kept = copy(buf, window[max(0, len(window)-len(iamSource)+1):])
	}
}
