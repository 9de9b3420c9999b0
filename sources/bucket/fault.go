package bucket

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Fault is a class of errors of AWS, by remedy. Its text is a metric's label.
type Fault string

// The classes.
const (
	FaultMissing     Fault = "missing"     // no such object, version, bucket or queue
	FaultDenied      Fault = "denied"      // a permission is missing
	FaultKMS         Fault = "kms"         // the key that the object is encrypted with may not be used
	FaultArchived    Fault = "archived"    // it lies in an archive, and has to be restored first
	FaultCredentials Fault = "credentials" // there are none, or AWS does not know them
	FaultThrottled   Fault = "throttled"
	FaultRegion      Fault = "region"  // asked in the wrong region
	FaultChanged     Fault = "changed" // it was overwritten while it was read
	FaultServer      Fault = "server"  // AWS's own
	FaultNetwork     Fault = "network" // no answer, or one that broke off
	FaultCorrupt     Fault = "corrupt" // not what it was when it was written, or not to be read
	FaultOther       Fault = "other"
)

// Faults lists them all, so that each metric starts at zero.
var Faults = []Fault{FaultMissing, FaultDenied, FaultKMS, FaultArchived, FaultCredentials, FaultThrottled, FaultRegion,
	FaultChanged, FaultServer, FaultNetwork, FaultCorrupt, FaultOther}

// faultCodes are the codes in AWS's answers that say more than the status.
var faultCodes = map[string]Fault{
	"NoSuchKey": FaultMissing, "NoSuchVersion": FaultMissing, "NoSuchBucket": FaultMissing, "NotFound": FaultMissing,
	"QueueDoesNotExist": FaultMissing, "AWS.SimpleQueueService.NonExistentQueue": FaultMissing, "NonExistentQueue": FaultMissing,

	"AccessDenied": FaultDenied, "AccessDeniedException": FaultDenied, "AllAccessDisabled": FaultDenied, "AccountProblem": FaultDenied,
	"UnauthorizedAccess": FaultDenied, "AuthorizationError": FaultDenied,

	"InvalidObjectState": FaultArchived,

	"InvalidAccessKeyId": FaultCredentials, "SignatureDoesNotMatch": FaultCredentials, "ExpiredToken": FaultCredentials,
	"ExpiredTokenException": FaultCredentials, "InvalidToken": FaultCredentials, "TokenRefreshRequired": FaultCredentials,
	"InvalidClientTokenId": FaultCredentials, "UnrecognizedClientException": FaultCredentials, "MissingAuthenticationToken": FaultCredentials,
	"RequestTimeTooSkewed": FaultCredentials, "RequestExpired": FaultCredentials, "IncompleteSignature": FaultCredentials, "InvalidSignatureException": FaultCredentials,

	"SlowDown": FaultThrottled, "Throttling": FaultThrottled, "ThrottlingException": FaultThrottled, "ThrottledException": FaultThrottled,
	"RequestThrottled": FaultThrottled, "RequestLimitExceeded": FaultThrottled, "TooManyRequestsException": FaultThrottled,
	"BandwidthLimitExceeded": FaultThrottled, "OverLimit": FaultThrottled,

	"PermanentRedirect": FaultRegion, "TemporaryRedirect": FaultRegion, "AuthorizationHeaderMalformed": FaultRegion,
	"IllegalLocationConstraintException": FaultRegion,

	"PreconditionFailed": FaultChanged, "InvalidRange": FaultChanged,

	"RequestTimeout": FaultNetwork, // a 400

	"KMS.ThrottlingException": FaultThrottled, "KmsThrottled": FaultThrottled,
}

// FaultOf returns the class of an error of the SDK.
func FaultOf(err error) Fault {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		code := answer.ErrorCode()
		fault, known := faultCodes[code]
		switch {
		case fault == FaultDenied && (strings.Contains(answer.ErrorMessage(), "kms:") || strings.Contains(answer.ErrorMessage(), "KMS")):
			return FaultKMS
		case known:
			return fault
		case strings.HasPrefix(code, "KMS.") || strings.HasPrefix(code, "Kms"):
			return FaultKMS
		}
	}
	if answer == nil && isCredentials(err) { // an answer in it is that of the credentials' provider
		return FaultCredentials
	}
	if response := responseOf(err); response != nil && response.StatusCode != 0 { // 0: there was no answer
		return statusFault(response.StatusCode)
	}
	if answer != nil {
		return FaultOther
	}
	return FaultNetwork
}

func statusFault(status int) Fault {
	switch {
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed: // of a delete marker
		return FaultMissing
	case status == http.StatusForbidden:
		return FaultDenied
	case status == http.StatusUnauthorized:
		return FaultCredentials
	case status == http.StatusPreconditionFailed, status == http.StatusRequestedRangeNotSatisfiable:
		return FaultChanged
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return FaultThrottled
	case status >= 300 && status < 400:
		return FaultRegion
	case status >= 500:
		return FaultServer
	}
	return FaultOther
}

// isCredentials reports whether no request was made since there was nothing to
// sign it with.
func isCredentials(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "get identity:") || strings.Contains(text, "refresh cached credentials")
}

// regionOf returns the region of the bucket that an answer names, "" if none.
func regionOf(err error) string {
	if response := responseOf(err); response != nil {
		return response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}

// responseOf returns the answer that an error of the SDK is about, nil if there is none.
func responseOf(err error) *http.Response {
	e, ok := errors.AsType[interface {
		error
		HTTPResponse() *smithyhttp.Response
	}](err)
	if !ok || e.HTTPResponse() == nil {
		return nil
	}
	return e.HTTPResponse().Response
}
