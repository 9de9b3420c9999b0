package bucket

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/sources/awstest"
)

// The same lists from an independent S3: pages, keys that need encoding, ranges
// within a page.
func TestListOnMoto(t *testing.T) {
	m := awstest.NewMoto(t)
	var keys []string
	for n := range 1100 { // more than a page
		keys = append(keys, listingKey("", "111122223333", "us-east-1", fmt.Sprintf("2026-05-%02d", n%9+1), n))
	}
	keys = append(keys,
		listingKey("a b+c&d/ü%20/", "o-exampleorgid/444455556666", "eu-west-1", "2026-05-03", 1),
		"AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/05/01/x.json.gz",
		"other/trail+1.json", "other/trail 2.json",
	)
	var g errgroup.Group
	g.SetLimit(8)
	for _, k := range keys {
		g.Go(func() error {
			_, err := m.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &m.Bucket, Key: aws.String(k), Body: strings.NewReader("x")})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	o := NewObjects(m.Config)
	for _, wanted := range []Wanted{
		{},
		{Since: listingDay("2026-05-03"), Until: listingDay("2026-05-05")},
		{Since: listingDay("2026-05-08")},
		{Until: listingDay("2026-05-02")},
		{Accounts: []string{"4444*"}},
		{Regions: []string{"us-*"}},
	} {
		var want []string
		for _, k := range keys {
			if _, ok := wanted.Pass(k); ok {
				want = append(want, k)
			}
		}
		slices.Sort(want)
		got := listAll(t.Context(), t, o, "s3://"+m.Bucket, wanted)
		if !slices.Equal(got.keys, want) || got.errs != nil {
			t.Errorf("%+v: found %d, want %d; errors %q", wanted, len(got.keys), len(want), got.errs)
		}
	}
	if got := listAll(t.Context(), t, o, "s3://"+m.Bucket+"-lost", Wanted{}); len(got.errs) != 1 || !strings.Contains(got.errs[0], "there is no such bucket") {
		t.Errorf("errors %q", got.errs)
	}
}
