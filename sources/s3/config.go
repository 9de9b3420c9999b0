package s3

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

// Config is the queue that names the objects, and the filters on them. It holds no
// connection settings.
type Config struct {
	// QueueURL is the URL of the SQS queue that S3, SNS, CloudTrail or EventBridge
	// notify, in any mixture.
	QueueURL string `koanf:"queue_url"`
	// Concurrency is how many messages are worked on concurrently. Memory is bounded
	// by it times a scanner's window.
	Concurrency int `koanf:"concurrency"`
	// VisibilityTimeout is how long SQS hides a received message, prolonged at half
	// time during the work on it. The messages of a crashed replica come again
	// after it. Whole seconds.
	VisibilityTimeout time.Duration `koanf:"visibility_timeout"`
	// MaxReceives is how often a message may fail for a cause of its own before it
	// goes to the quarantine and is deleted. 0: never, which leaves it to the
	// queue's redrive policy. Outages do not count.
	MaxReceives int         `koanf:"max_receives"`
	Retry       RetryConfig `koanf:"retry"`

	// Buckets are the only buckets whose objects are fetched. Empty: any, so every
	// sender to the queue chooses what the role reads.
	Buckets []string `koanf:"buckets"`
	// Objects of other accounts, regions or prefixes, as their keys say, are skipped
	// unread. Empty: none is skipped. A key of unknown form is read.
	Accounts []string `koanf:"accounts"`
	Regions  []string `koanf:"regions"`
	Prefixes []string `koanf:"prefixes"`
	// AuditEvery samples the skipped objects: one in so many is read, to prove that
	// the filters miss nothing. 0: none.
	AuditEvery int `koanf:"filter_sample"`
}

// RetryConfig is the wait before a failed message comes again: Min at first,
// doubled with each receive, up to Max.
type RetryConfig struct {
	Min time.Duration `koanf:"min"`
	Max time.Duration `koanf:"max"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Concurrency:       16,
		VisibilityTimeout: 5 * time.Minute,
		MaxReceives:       10,
		Retry:             RetryConfig{Min: 10 * time.Second, Max: 15 * time.Minute},
		AuditEvery:        1000,
	}
}

const (
	maxConcurrency = 1024
	maxVisibility  = 12 * time.Hour // of SQS, since the receipt
	maxWork        = time.Hour      // on one message; its visibility is prolonged no further
)

// Validate returns every mistake in c. The errors are joined, each of the form
// "field: problem".
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if problem := queueProblem(c.QueueURL); problem != "" {
		bad("queue_url", "%s", problem)
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		bad("concurrency", "want 1 to %d, got %d", maxConcurrency, c.Concurrency)
	}
	seconds := func(field string, d, least, most time.Duration) {
		if d < least || d > most || d%time.Second != 0 {
			bad(field, "want whole seconds from %s to %s, got %s", least, most, d)
		}
	}
	seconds("visibility_timeout", c.VisibilityTimeout, 10*time.Second, maxWork)
	seconds("retry.min", c.Retry.Min, time.Second, maxVisibility)
	seconds("retry.max", c.Retry.Max, c.Retry.Min, maxVisibility)
	if c.MaxReceives < 0 || c.MaxReceives > 1000 {
		bad("max_receives", "want 1 to 1000, or 0 to leave it to the queue's redrive policy, got %d", c.MaxReceives)
	}
	for i, name := range c.Buckets {
		if !bucketName().MatchString(name) {
			bad(fmt.Sprintf("buckets[%d]", i), "want the name of a bucket, such as my-trail, without s3:// or a key, got %q", name)
		}
	}
	for i, account := range c.Accounts {
		if !bucket.IsAccount(account) {
			bad(fmt.Sprintf("accounts[%d]", i), "want the 12 digits of an account, in quotes, got %q", account)
		}
	}
	for i, region := range c.Regions {
		if !bucket.IsRegion(region) {
			bad(fmt.Sprintf("regions[%d]", i), "want a region such as us-east-1, got %q", region)
		}
	}
	for i, prefix := range c.Prefixes {
		switch {
		case prefix == "":
			bad(fmt.Sprintf("prefixes[%d]", i), "empty, which matches every key; leave prefixes out")
		case strings.HasPrefix(prefix, "s3:"), strings.HasPrefix(prefix, "/"):
			bad(fmt.Sprintf("prefixes[%d]", i), "want how keys begin, without bucket or leading slash, such as AWSLogs/, got %q", prefix)
		}
	}
	switch n := c.AuditEvery; {
	case n < 0:
		bad("filter_sample", "want 1 or more, or 0 for no audit, got %d", n)
	case n > 0 && n != DefaultConfig().AuditEvery && len(c.Regions) == 0 && len(c.Prefixes) == 0:
		bad("filter_sample", "has no effect, since no object is skipped by regions or prefixes; want one of these, or remove it")
	}
	return errors.Join(errs...)
}

// Compiled, bucketName has 165 KB, which most starts do not need.
var bucketName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)
})

func queueProblem(address string) string {
	const example = "https://sqs.us-east-1.amazonaws.com/111122223333/trail"
	u, err := url.Parse(address)
	switch {
	case address == "":
		return "missing; want the queue's URL, such as " + example
	case strings.HasPrefix(address, "arn:"):
		return "want the queue's URL, such as " + example + ", got its ARN"
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", strings.Trim(u.Path, "/") == "":
		return "want the queue's URL, such as " + example
	case strings.HasSuffix(u.Path, ".fifo"):
		return "want a standard queue, since S3 cannot notify a FIFO queue"
	}
	account, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if QueueRegion(address) != "" && strings.HasSuffix(u.Hostname(), ".amazonaws.com") && !bucket.IsAccount(account) {
		return fmt.Sprintf("want the 12 digits of an account behind the host, such as %s, got %q", example, account)
	}
	return ""
}

// queueHost finds the region in sqs.us-east-1.amazonaws.com, also of a VPC
// endpoint, and in the older us-east-1.queue.amazonaws.com.
var queueHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.|^([a-z0-9-]+)\.queue\.amazonaws\.`)
})

// QueueRegion returns the region that a queue's URL names, "" if none.
func QueueRegion(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if u.Hostname() == "queue.amazonaws.com" {
		return "us-east-1"
	}
	for _, region := range append(queueHost().FindStringSubmatch(u.Hostname()), "") {
		if bucket.IsRegion(region) {
			return region
		}
	}
	return ""
}
