package sms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	voice "github.com/aws/aws-sdk-go-v2/service/pinpointsmsvoicev2"
	voicetypes "github.com/aws/aws-sdk-go-v2/service/pinpointsmsvoicev2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
)

// An awsTexter sends through a service of AWS. It has one attempt at each request: the
// SDK's own retries would send a message again whose answer was lost.
type awsTexter struct {
	service string
	aws     aws.Config
	// Of a client the one method that is called: with the client itself here, which
	// reflection could reach, the linker would keep all of them: 5 MB for both.
	send func(ctx context.Context, to, body, alert string) (id *string, err error)
}

// text implements texter. An answer that has no ID is not AWS's.
func (t *awsTexter) text(ctx context.Context, to, body, alert string) (id string, err error) {
	if err := ready(ctx, t.aws); err != nil {
		return "", err
	}
	got, err := t.send(ctx, to, body, alert)
	switch {
	case err != nil:
		return "", awsVerdict(ctx, t.service, err)
	case aws.ToString(got) == "":
		return "", sinks.Ambiguous(errors.New(t.service + " answered without the message's ID"))
	}
	return safetext.Clean(*got, 64), nil
}

// newSNS returns a texter that sends through Amazon SNS.
func newSNS(from string, a aws.Config) *awsTexter {
	publish := sns.NewFromConfig(a, func(o *sns.Options) { o.Retryer = aws.NopRetryer{} }).Publish
	text := func(value string) snstypes.MessageAttributeValue {
		return snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	attributes := map[string]snstypes.MessageAttributeValue{"AWS.SNS.SMS.SMSType": text("Transactional")}
	switch {
	case from == "":
	case shortCode().MatchString(from):
		attributes["AWS.MM.SMS.OriginationNumber"] = text(from)
	default:
		attributes["AWS.SNS.SMS.SenderID"] = text(from)
	}
	return &awsTexter{"SNS", a, func(ctx context.Context, to, body, _ string) (*string, error) {
		out, err := publish(ctx, &sns.PublishInput{PhoneNumber: &to, Message: &body, MessageAttributes: attributes})
		if err != nil {
			return nil, err
		}
		return out.MessageId, nil
	}}
}

// newVoice returns a texter that sends through AWS End User Messaging.
func newVoice(from string, a aws.Config) *awsTexter {
	send := voice.NewFromConfig(a, func(o *voice.Options) { o.Retryer = aws.NopRetryer{} }).SendTextMessage
	return &awsTexter{"End User Messaging", a, func(ctx context.Context, to, body, alert string) (*string, error) {
		in := &voice.SendTextMessageInput{
			DestinationPhoneNumber: &to, MessageBody: &body, MessageType: voicetypes.MessageTypeTransactional,
			TimeToLive: aws.Int32(validitySeconds), Context: map[string]string{"alert": safetext.Clean(alert, 100)},
		}
		if from != "" {
			in.OriginationIdentity = &from
		}
		out, err := send(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.MessageId, nil
	}}
}

// ready looks for credentials before anything is sent, so that what fails there
// is not taken for a lost answer.
func ready(ctx context.Context, a aws.Config) error {
	if a.Credentials == nil {
		return sinks.Misconfigured(errors.New("there are no credentials of AWS; give the machine a role, or set access_key_id"))
	}
	if _, err := a.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return sinks.Misconfigured(fmt.Errorf("no credentials of AWS: %s; give the machine a role, or set access_key_id", safetext.Clean(err.Error(), httpsend.MaxErrorText)))
	}
	return nil
}

// Error codes of SNS and End User Messaging that mean the same. SNS's own SDK has
// types for few of them: OptedOut and Throttling are not among those.
var (
	awsThrottling = []string{"Throttling", "ThrottlingException", "Throttled", "ThrottledException", "TooManyRequestsException", "RequestThrottled", "RequestLimitExceeded"}
	awsPermanent  = []string{"OptedOut", "OptedOutException", "InvalidParameter", "InvalidParameterException", "InvalidParameterValue", "ParameterValueInvalid",
		"ValidationException", "ValidationError", "EndpointDisabled"}
	awsClock = []string{"SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"}
	awsKeys  = []string{"InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature", "IncompleteSignatureException", "TokenRefreshRequired"}
	awsRights = []string{"AuthorizationError", "AuthorizationErrorException", "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired", "UserError", "UserErrorException"}
)

// awsVerdict returns err with the verdict on the message. Throttling comes as 400
// from SNS. A request that did not reach AWS is tried again; one without an
// answer, or with a 5xx, may be sent: Ambiguous. A number that is refused is
// Permanent, all else is about the account: Misconfigured.
func awsVerdict(ctx context.Context, service string, err error) error {
	said := func(text, hint string) error {
		if hint != "" {
			hint = "; " + hint
		}
		return fmt.Errorf("%s answered %s%s", service, safetext.Clean(text, httpsend.MaxErrorText), hint)
	}
	status, header := 0, http.Header{}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && resp.Response != nil {
		status, header = resp.HTTPStatusCode(), resp.Response.Header
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok && status != 0 {
		code := answer.ErrorCode()
		text := code + " (" + answer.ErrorMessage() + ")"
		conflict, isConflict := errors.AsType[*voicetypes.ConflictException](err)
		switch {
		case slices.Contains(awsThrottling, code):
			return sinks.Throttled(said(text, ""), httpsend.RetryAfter(header, time.Now()))
		case isConflict:
			text = code + " " + string(conflict.Reason) + " (" + answer.ErrorMessage() + ")"
			if slices.Contains(voiceNumbers, conflict.Reason) {
				return sinks.Permanent(said(text, ""))
			}
			err := said(text, "check from, and what the account may send")
			if slices.Contains(voiceOthers, conflict.Reason) {
				err = sinks.OfOne(err)
			}
			return sinks.Misconfigured(err)
		case slices.Contains(awsPermanent, code):
			return sinks.Permanent(said(text, ""))
		case slices.Contains(awsClock, code):
			return sinks.Misconfigured(said(text, "check the credentials, and this machine's clock"))
		case slices.Contains(awsKeys, code):
			return sinks.Misconfigured(said(text, "check the credentials: they are wrong or expired"))
		case slices.Contains(awsRights, code):
			return sinks.Misconfigured(said(text, "let the role send: sns:Publish on \"*\", or sms-voice:SendTextMessage"))
		case code == "ServiceQuotaExceededException":
			return sinks.Misconfigured(said(text, "raise the account's quota or its monthly spend limit"))
		case code == "ResourceNotFoundException" || code == "NotFound":
			return sinks.Misconfigured(said(text, "check from and region"))
		case code == "UnknownError": // not an answer of AWS
		case status >= 500:
			return sinks.Ambiguous(said(text, ""))
		default:
			return sinks.Misconfigured(said(text, ""))
		}
	}
	switch {
	case status/100 == 2: // and then broke off
		return sinks.Ambiguous(said(httpsend.StatusText(status)+", but the reply cannot be read", ""))
	case status >= 500:
		return sinks.Ambiguous(said(httpsend.StatusText(status), ""))
	case status != 0: // of something in between
		return httpsend.StatusError(status, header, time.Now())
	}
	return unanswered(ctx, err)
}

// voiceNumbers are the conflicts that are about the number.
var voiceNumbers = []voicetypes.ConflictExceptionReason{
	voicetypes.ConflictExceptionReasonDestinationPhoneNumberOptedOut,
	voicetypes.ConflictExceptionReasonDestinationPhoneNumberBlockedByProtectNumberOverride,
}

// voiceOthers are those that the account could mend, while it may send to other
// numbers.
var voiceOthers = []voicetypes.ConflictExceptionReason{
	voicetypes.ConflictExceptionReasonDestinationPhoneNumberNotVerified,
	voicetypes.ConflictExceptionReasonDestinationCountryBlockedByProtectConfiguration,
}

// unanswered separates what did not reach the other side from what may have.
func unanswered(ctx context.Context, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return httpsend.Cause(ctx, op)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(safetext.Clean(err.Error(), httpsend.MaxErrorText))
	}
	if httpsend.TLSRefused(err) {
		return sinks.Misconfigured(errors.New(safetext.Clean(err.Error(), httpsend.MaxErrorText) + "; check endpoint, and AWS_CA_BUNDLE"))
	}
	if ctx.Err() != nil {
		return sinks.Ambiguous(fmt.Errorf("no answer: %w", context.Cause(ctx)))
	}
	return sinks.Ambiguous(errors.New("no answer: " + safetext.Clean(err.Error(), httpsend.MaxErrorText)))
}
