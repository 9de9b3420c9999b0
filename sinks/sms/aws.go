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

// An snsTexter sends through Amazon SNS.
type snsTexter struct {
	from string
	aws  aws.Config
	// The one method that is called of the client: with the client itself here,
	// which reflection could reach, the linker would keep all of them: 5 MB for both.
	publish func(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// newSNS has one attempt at each request: the SDK's own retries would send a
// message again whose answer was lost.
func newSNS(from string, a aws.Config) *snsTexter {
	return &snsTexter{from, a, sns.NewFromConfig(a, func(o *sns.Options) { o.Retryer = aws.NopRetryer{} }).Publish}
}

func (s *snsTexter) text(ctx context.Context, to, body, _ string) (id string, err error) {
	if err := ready(ctx, s.aws); err != nil {
		return "", err
	}
	text := func(value string) snstypes.MessageAttributeValue {
		return snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	in := &sns.PublishInput{
		PhoneNumber: aws.String(to), Message: aws.String(body),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{"AWS.SNS.SMS.SMSType": text("Transactional")},
	}
	switch {
	case s.from == "":
	case shortCode().MatchString(s.from):
		in.MessageAttributes["AWS.MM.SMS.OriginationNumber"] = text(s.from)
	default:
		in.MessageAttributes["AWS.SNS.SMS.SenderID"] = text(s.from)
	}
	out, err := s.publish(ctx, in)
	if err != nil {
		return "", awsVerdict(ctx, "SNS", err)
	}
	return messageID("SNS", out.MessageId)
}

// A voiceTexter sends through AWS End User Messaging.
type voiceTexter struct {
	from string
	aws  aws.Config
	send func(context.Context, *voice.SendTextMessageInput, ...func(*voice.Options)) (*voice.SendTextMessageOutput, error) // see publish
}

func newVoice(from string, a aws.Config) *voiceTexter {
	return &voiceTexter{from, a, voice.NewFromConfig(a, func(o *voice.Options) { o.Retryer = aws.NopRetryer{} }).SendTextMessage}
}

func (v *voiceTexter) text(ctx context.Context, to, body, alert string) (id string, err error) {
	if err := ready(ctx, v.aws); err != nil {
		return "", err
	}
	in := &voice.SendTextMessageInput{
		DestinationPhoneNumber: aws.String(to), MessageBody: aws.String(body), MessageType: voicetypes.MessageTypeTransactional,
		TimeToLive: aws.Int32(validitySeconds), Context: map[string]string{"alert": safetext.Clean(alert, 100)},
	}
	if v.from != "" {
		in.OriginationIdentity = aws.String(v.from)
	}
	out, err := v.send(ctx, in)
	if err != nil {
		return "", awsVerdict(ctx, "End User Messaging", err)
	}
	return messageID("End User Messaging", out.MessageId)
}

// messageID is the ID that came back. An answer that has none is not AWS's.
func messageID(service string, id *string) (string, error) {
	if aws.ToString(id) == "" {
		return "", sinks.Ambiguous(errors.New(service + " answered without the message's ID"))
	}
	return safetext.Clean(*id, 64), nil
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
