package bucket_test

import (
	"fmt"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A key of CloudTrail names the account, the region and the day of delivery.
func ExampleParseKey() {
	key, ok := bucket.ParseKey("AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/111122223333_CloudTrail_us-east-1_20260501T0805Z_a1.json.gz")
	fmt.Println(ok, key.Kind, key.Account, key.Region, key.Day.Format("2006-01-02"))
	_, ok = bucket.ParseKey("copies/trail.json")
	fmt.Println(ok)
	// Output:
	// true records 111122223333 us-east-1 2026-05-01
	// false
}
