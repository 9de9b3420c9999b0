package trail

import "testing"

func TestSniff(t *testing.T) {
	for head, want := range map[string]Form{
		"":                               FormEmpty,
		"\ufeff \r\n\t":                  FormEmpty,
		"\x1f\x8b":                       FormGzip,
		"\x1f":                           FormUnknown,
		"\x28\xb5\x2f\xfd":               FormZstd,
		"\x28\xb5":                       FormUnknown,
		"PK\x03\x04":                     FormZip,
		"x\x9c":                          FormZlib,
		"x\x9d":                          FormUnknown,
		" \x1f\x8b":                      FormUnknown,
		"{":                              FormJSON,
		"\ufeff\n [{}":                   FormJSON,
		`"{}"`:                           FormText,
		"null":                           FormText,
		"nul":                            FormUnknown,
		"CloudTrail validation message.": FormText,
		"H4sIAAAA":                       FormBase64,
		"eyJSZWNv":                       FormBase64,
		"W3siZXZl":                       FormBase64,
		"hello":                          FormUnknown,
		"<xml>":                          FormUnknown,
	} {
		if got := Sniff([]byte(head)); got != want {
			t.Errorf("%q: got %d, want %d", head, got, want)
		}
	}
}
