package alerting

import (
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

type foldCase struct{ name, events, want string }

func testFold(t *testing.T, cases []foldCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := show(Fold(script(t, c.events)).Alerts()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestR02_FailuresChangeNothing(t *testing.T) {
	testFold(t, []foldCase{
		{"a failed deactivation opens nothing", "0 deactivate bob serial=A fail=AccessDenied", "bob attempted@0 medium x1 AccessDenied"},
		{"a failed enable closes nothing", "0 deactivate bob serial=A; 60 enable bob serial=A fail=InvalidAuthenticationCode",
			"bob opened@0 high; bob failed@60 info x1 InvalidAuthenticationCode"},
		{"a failed deletion of the user closes nothing", "0 deactivate bob serial=A; 60 deleteuser bob fail=DeleteConflict", "bob opened@0 high"},
		{"a failed change is nothing", "0 deactivate bob serial=A; 60 createkey bob fail=LimitExceeded", "bob opened@0 high"},
		{"a failed sign-in is nothing", "0 deactivate bob serial=A; 60 login+ bob fail=x; 70 login- bob fail=x", "bob opened@0 high"},
		{"a failed rename moves nothing", "0 deactivate bob serial=A; 10 rename bob new=rob fail=x; 20 enable rob serial=A", "bob opened@0 high"},
	})
}

func TestR05_UnknownSerialStillOpens(t *testing.T) {
	testFold(t, []foldCase{
		{"without a serial", "0 deactivate bob", "bob opened@0 high"},
		{"any known device may be the one", "0 enable bob serial=A; 1 enable bob serial=B; 10 deactivate bob", "bob opened@10 high"},
		{"an enabled device without a serial closes", "0 deactivate bob; 9 enable bob", "bob opened@0 high; bob resolved@9 info enabled"},
		{"but cannot be distinguished from the one lost later", "0 enable bob; 9 deactivate bob serial=A", "bob opened@9 high"},
	})
}

func TestR10_UnknownTargetIsAPersonOfItsOwn(t *testing.T) {
	testFold(t, []foldCase{
		{"two of them", "0 deactivate - serial=A; 10 deactivate - serial=B", "? opened@0 high; ? opened@10 high"},
		{"an enable without a user does not close it", "0 deactivate -; 10 enable bob serial=A; 20 enable - serial=B", "? opened@0 high"},
		{"unless an earlier record names both", "0 enable bob serial=A; 10 deactivate - serial=A; 20 enable bob serial=B",
			"bob opened@10 high; bob resolved@20 info enabled"},
	})
	h := Fold(script(t, "0 deactivate -"))
	if got := h.Exposures[0].Reasons; !contains(got, exposure.ReasonUnknownTarget) {
		t.Errorf("reasons %v lack %s", got, exposure.ReasonUnknownTarget)
	}
	if a := h.Alerts()[0]; a.User != nil {
		t.Errorf("user is %q, want none", *a.User)
	}
}

func TestR11_Root(t *testing.T) {
	testFold(t, []foldCase{
		{"opened is critical", "0 deactivate root serial=A", "root opened@0 critical"},
		{"reduced is one level up", "0 enable root serial=B; 9 deactivate root serial=A", "root reduced@9 medium"},
		{"an attempt is high", "0 deactivate root serial=A fail=AccessDenied", "root attempted@0 high x1 AccessDenied"},
		{"a user of that look is no root", "0 deactivate root-user serial=A", "root-user opened@0 high"},
	})
}

func TestR12_NamesFoldCase(t *testing.T) {
	testFold(t, []foldCase{
		{"one person", "0 deactivate Bob serial=A; 9 enable bOB serial=A", "Bob opened@0 high; Bob resolved@9 info enabled"},
		{"partitions and accounts apart", "0 deactivate bob serial=A; 1 enable bob serial=A account=444455556666; 2 enable bob serial=A partition=aws-cn",
			"bob opened@0 high"},
	})
}

func TestR13_SameNameInTwoAccounts(t *testing.T) {
	testFold(t, []foldCase{{"two cases", "0 deactivate bob serial=A id=x; 0 deactivate bob serial=A account=000000000042 id=x",
		"bob opened@0 high; bob opened@0 high"}})
	h := Fold(script(t, "0 deactivate bob id=x; 0 deactivate bob id=x account=000000000042; 0 deactivate bob id=x partition=aws-cn"))
	if len(h.Exposures) != 3 {
		t.Fatalf("%d exposures, want 3", len(h.Exposures))
	}
	ids := map[string]bool{}
	for _, x := range h.Exposures {
		ids[x.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("IDs of three accounts: %v", ids)
	}
}

func TestR17_AnotherDeviceKnownActive(t *testing.T) {
	testFold(t, []foldCase{
		{"reduced", "0 enable bob serial=A; 1 enable bob serial=B; 10 deactivate bob serial=A", "bob reduced@10 low"},
		{"by a resync", "0 resync bob serial=B; 10 deactivate bob serial=A", "bob reduced@10 low"},
		{"then the other", "0 enable bob serial=A; 1 enable bob serial=B; 10 deactivate bob serial=A; 20 deactivate bob serial=B",
			"bob reduced@10 low; bob opened@20 high"},
		{"the other was deleted meanwhile", "0 enable bob serial=B; 5 deletevirtual - serial=B; 10 deactivate bob serial=A", "bob opened@5 high; bob updated@10 high"},
		{"the other belongs to another user now", "0 enable bob serial=B; 5 enable eve serial=B; 10 deactivate bob serial=A", "bob opened@10 high"},
		{"eight devices", `0 enable bob serial=1; 0 enable bob serial=2; 0 enable bob serial=3; 0 enable bob serial=4
			0 enable bob serial=5; 0 enable bob serial=6; 0 enable bob serial=7; 0 enable bob serial=8
			1 deactivate bob serial=1; 2 deactivate bob serial=2; 3 deactivate bob serial=3; 4 deactivate bob serial=4
			5 deactivate bob serial=5; 6 deactivate bob serial=6; 7 deactivate bob serial=7; 8 deactivate bob serial=8`,
			"bob reduced@1 low; bob reduced@2 low; bob reduced@3 low; bob reduced@4 low; bob reduced@5 low; bob reduced@6 low; bob reduced@7 low; bob opened@8 high"},
	})
}

func TestR18_NoKnowledgeOfOthers(t *testing.T) {
	h := Fold(script(t, "0 deactivate bob serial=A; 10 enable eve serial=C; 10 deactivate eve serial=C"))
	if x := h.Exposures[0]; x.Protection != exposure.ProtectionUnknown || x.Reduced {
		t.Errorf("protection %q, reduced %v", x.Protection, x.Reduced)
	}
	if x := h.Exposures[1]; !contains(x.Reasons, exposure.ReasonLastDevice) {
		t.Errorf("reasons %v lack %s", x.Reasons, exposure.ReasonLastDevice)
	}
	if s := h.Alerts()[0].Summary; !strings.Contains(s, "no other device is known") {
		t.Errorf("the summary does not say so: %s", s)
	}
}

func TestR19_EnableFirstIsAReplacement(t *testing.T) {
	testFold(t, []foldCase{
		{"in order", "0 enable bob serial=B; 60 deactivate bob serial=A", "bob reduced@60 low"},
		{"arriving second", "60 deactivate bob serial=A; 0 enable bob serial=B", "bob reduced@60 low"},
		{"the same serial is none", "0 enable bob serial=A; 60 deactivate bob serial=A", "bob opened@60 high"},
	})
}

func TestR20_EnableCloses(t *testing.T) {
	testFold(t, []foldCase{
		{"another serial", "0 deactivate bob serial=A; 60 enable bob serial=B", "bob opened@0 high; bob resolved@60 info enabled"},
		{"the same serial", "0 deactivate bob serial=A; 60 enable bob serial=A", "bob opened@0 high; bob resolved@60 info enabled"},
		{"a resync", "0 deactivate bob serial=A; 60 resync bob serial=B", "bob opened@0 high; bob resolved@60 info enabled"},
		{"another person's", "0 deactivate bob serial=A; 60 enable eve serial=B", "bob opened@0 high"},
		{"only created", "0 deactivate bob serial=A; 60 createvirtual bob serial=B", "bob opened@0 high"},
		{"several devices lost", "0 deactivate bob serial=A; 5 deactivate bob serial=B; 60 enable bob serial=C",
			"bob opened@0 high; bob updated@5 high; bob resolved@60 info enabled"},
		{"once", "0 deactivate bob serial=A; 60 enable bob serial=B; 70 enable bob serial=C", "bob opened@0 high; bob resolved@60 info enabled"},
		{"and again", "0 deactivate bob serial=A; 60 enable bob serial=A; 90 deactivate bob serial=A",
			"bob opened@0 high; bob resolved@60 info enabled; bob opened@90 high"},
	})
}

func TestR21_EarlierEnableOfTheSameSerialDoesNotClose(t *testing.T) {
	testFold(t, []foldCase{
		{"earlier", "0 deactivate bob serial=A; -60 enable bob serial=A", "bob opened@0 high"},
		{"same second", "0 deactivate bob serial=A; 0 enable bob serial=A", "bob opened@0 high"},
	})
}

func TestR22_DeleteVirtual(t *testing.T) {
	testFold(t, []foldCase{
		{"opens nothing", "0 deletevirtual - serial=A", ""},
		{"closes nothing", "0 deactivate bob serial=A; 1 deletevirtual - serial=A", "bob opened@0 high"},
		{"a device known active was removed, unseen (J7)", "0 enable bob serial=A; 9 deletevirtual - serial=A", "bob opened@9 high"},
		{"a failed one hits whom the serial was last seen with", "0 enable bob serial=A; 9 deletevirtual - serial=A fail=DeleteConflictException",
			"bob failed@9 info x1 DeleteConflictException"},
		{"unless that user is gone", "0 enable bob serial=A; 5 deleteuser bob; 9 deletevirtual - serial=A fail=NoSuchEntity", "? failed@9 info x1 NoSuchEntity"},
		{"else the target is unknown", "9 deletevirtual - serial=A fail=DeleteConflict; 99 enable bob serial=A", "? failed@9 info x1 DeleteConflict"},
		{"a name used again", "0 deactivate bob serial=A; 1 deletevirtual - serial=A; 2 createvirtual - serial=A; 3 enable bob serial=A",
			"bob opened@0 high; bob resolved@3 info enabled"},
	})
}

func TestR23_DeletedUserAndPassword(t *testing.T) {
	testFold(t, []foldCase{
		{"user deleted", "0 deactivate bob serial=A; 5 deleteuser bob", "bob opened@0 high; bob resolved@5 info user_deleted"},
		{"password gone", "0 deactivate bob serial=A; 5 deletelogin bob", "bob opened@0 high; bob updated@5 low"},
		{"root's password gone", "0 deactivate root serial=A; 5 deletelogin root", "root opened@0 critical; root updated@5 medium"},
		{"the password comes back", "0 deactivate bob serial=A; 5 deletelogin bob; 9 createlogin bob; 10 deactivate bob serial=B",
			"bob opened@0 high; bob updated@5 low; bob updated@9 critical; bob updated@10 critical"},
		{"an intruder cannot silence it", "0 deactivate bob serial=A; 5 createkey bob; 9 deletelogin bob",
			"bob opened@0 high; bob updated@5 critical; bob updated@9 critical"},
		{"quiet while the password is gone", "0 deactivate bob serial=A; 5 deletelogin bob; 9 deactivate bob serial=B",
			"bob opened@0 high; bob updated@5 low; bob updated@9 low"},
		{"changes while open", `0 deactivate bob serial=A; 1 createlogin bob; 2 updatelogin bob; 3 createkey bob; 4 attach bob; 5 put bob; 6 group bob`,
			"bob opened@0 high; bob updated@1 critical; bob updated@2 critical; bob updated@3 critical; bob updated@4 critical; bob updated@5 critical; bob updated@6 critical"},
		{"changes otherwise", "0 createkey bob; 1 enable bob serial=B; 2 deactivate bob serial=A; 3 createlogin bob; 4 deletelogin bob", "bob reduced@2 high"},
		{"keys taken away are only attached", "0 deactivate bob serial=A; 1 updatekey bob; 2 deletekey bob", "bob opened@0 high; bob updated@1 critical"},
		{"off-boarding", "0 deletekey bob; 1 deactivate bob serial=A; 1 deletevirtual - serial=A; 1 deletelogin bob; 2 deleteuser bob",
			"bob opened@1 high; bob updated@1 low; bob resolved@2 info user_deleted"},
	})
	reasonsOf := func(events string) []string { return Fold(script(t, events)).Exposures[0].Reasons }
	if r := reasonsOf("0 deactivate bob; 1 deleteuser bob"); !contains(r, exposure.ReasonOffboarding) {
		t.Errorf("reasons %v lack %s", r, exposure.ReasonOffboarding)
	}
	if r := reasonsOf("0 deactivate bob; 1 login- bob; 2 deleteuser bob"); contains(r, exposure.ReasonOffboarding) || !contains(r, exposure.ReasonExploited) {
		t.Errorf("an exploited exposure ends as %v", r)
	}
}

func TestR24_Rename(t *testing.T) {
	testFold(t, []foldCase{
		{"moves the open one", "0 deactivate bob serial=A; 5 rename bob new=rob; 9 enable rob serial=B", "bob opened@0 high; rob resolved@9 info enabled"},
		{"moves the devices", "0 enable bob serial=B; 5 rename bob new=rob; 9 deactivate rob serial=A", "rob reduced@9 low"},
		{"sessions under the old name go on", "0 deactivate bob serial=A; 5 rename bob new=rob; 9 enable bob serial=B",
			"bob opened@0 high; rob resolved@9 info enabled"},
		{"until another user gets the name", "0 deactivate bob serial=A; 5 rename bob new=rob; 7 createuser bob; 9 enable bob serial=B", "bob opened@0 high"},
		{"or by another rename", "0 deactivate bob serial=A; 5 rename bob new=rob; 7 rename eve new=bob; 9 enable bob serial=B", "bob opened@0 high"},
		{"and back", "0 deactivate bob serial=A; 5 rename bob new=rob; 7 rename rob new=bob; 9 enable bob serial=B",
			"bob opened@0 high; bob resolved@9 info enabled"},
		{"of case only", "0 deactivate bob serial=A; 5 rename bob new=BOB; 9 enable bob serial=B", "bob opened@0 high; bob resolved@9 info enabled"},
		{"of the path only", "0 deactivate bob serial=A; 5 rename bob; 9 enable bob serial=B", "bob opened@0 high; bob resolved@9 info enabled"},
		{"in the second of the enable", "0 deactivate bob serial=A; 5 enable rob serial=B; 5 rename bob new=rob",
			"bob opened@0 high; rob resolved@5 info enabled"},
		{"the former owner of the name is gone", "0 deactivate rob serial=A; 5 rename bob new=rob", "rob opened@0 high; rob resolved@5 info user_deleted"},
		{"former names go with the life", "0 enable bob serial=B; 1 rename bob new=rob; 2 deleteuser rob; 3 deactivate bob serial=A; 4 createuser bob",
			"bob opened@3 high; bob resolved@4 info user_deleted"},
		{"deleting the namesake of a former name", "0 deactivate bob serial=A; 5 rename bob new=rob; 7 deleteuser bob", "bob opened@0 high"},
	})
}

func TestR25_LivesDoNotLeak(t *testing.T) {
	testFold(t, []foldCase{
		{"devices of the former life", "0 enable bob serial=B; 1 deleteuser bob; 2 createuser bob; 9 deactivate bob serial=A", "bob opened@9 high"},
		{"without the deletion", "0 enable bob serial=B; 2 createuser bob; 9 deactivate bob serial=A", "bob opened@9 high"},
		{"without the creation", "0 enable bob serial=B; 1 deleteuser bob; 9 deactivate bob serial=A", "bob opened@9 high"},
		{"an enable of the next life", "0 deactivate bob serial=A; 1 deleteuser bob; 2 createuser bob; 3 enable bob serial=B",
			"bob opened@0 high; bob resolved@1 info user_deleted"},
		{"the creation proves the end", "0 deactivate bob serial=A; 2 createuser bob; 3 enable bob serial=B",
			"bob opened@0 high; bob resolved@2 info user_deleted"},
		{"a sign-in of the next life", "0 enable bob serial=B; 1 deactivate bob serial=A; 2 deleteuser bob; 3 createuser bob; 4 login- bob", "bob reduced@1 low"},
	})
}

func TestR26_SignInWithoutMFA(t *testing.T) {
	testFold(t, []foldCase{
		{"exploits", "0 deactivate bob serial=A; 60 login- bob", "bob opened@0 high; bob exploited@60 critical"},
		{"root too", "0 deactivate root serial=A; 60 login- root type=Root", "root opened@0 critical; root exploited@60 critical"},
		{"once", "0 deactivate bob serial=A; 60 login- bob; 90 login- bob", "bob opened@0 high; bob exploited@60 critical"},
		{"in the same second", "0 login- bob; 0 deactivate bob serial=A", "bob opened@0 high; bob exploited@0 critical"},
		{"before", "0 login- bob; 1 deactivate bob serial=A", "bob opened@1 high"},
		{"after the end", "0 deactivate bob serial=A; 60 enable bob serial=B; 90 login- bob", "bob opened@0 high; bob resolved@60 info enabled"},
		{"never by a role", "0 deactivate bob serial=A; 60 login- bob type=AssumedRole", "bob opened@0 high"},
		{"never by SAML", "0 deactivate bob serial=A; 60 login- bob type=SAMLUser", "bob opened@0 high"},
		{"unknown is not no", "0 deactivate bob serial=A; 60 login? bob", "bob opened@0 high"},
		{"another person's", "0 deactivate bob serial=A; 60 login- eve", "bob opened@0 high"},
		{"opens what was only reduced", "0 enable bob serial=B; 9 deactivate bob serial=A; 60 login- bob; 90 enable bob serial=C",
			"bob reduced@9 low; bob exploited@60 critical; bob suspect@90 critical"},
		{"and shows that no device known was active", "0 enable bob serial=B; 9 deactivate bob serial=A; 60 login- bob; 90 enable bob serial=C; 99 deactivate bob serial=C",
			"bob reduced@9 low; bob exploited@60 critical; bob suspect@90 critical; bob updated@99 critical"},
		{"but not when a device was proved since", "0 enable bob serial=B; 9 deactivate bob serial=A; 10 login+ bob; 60 login- bob", "bob reduced@9 low; bob exploited@60 critical"},
		{"without an exposure", "0 login- bob", ""},
		{"later steps are critical", "0 deactivate bob serial=A; 60 login- bob; 61 deactivate bob serial=B",
			"bob opened@0 high; bob exploited@60 critical; bob updated@61 critical"},
	})
	x := Fold(script(t, "0 enable bob serial=B; 9 deactivate bob serial=A; 60 login- bob")).Exposures[0]
	if !x.Open() || x.Reduced || !x.Exploited || x.Protection != exposure.ProtectionNone || !x.OpenedAt.Equal(at(9)) {
		t.Errorf("reopened: %+v", x)
	}
}

func TestR27_ProofOfADevice(t *testing.T) {
	testFold(t, []foldCase{
		{"sign-in with MFA", "0 deactivate bob serial=A; 60 login+ bob", "bob opened@0 high; bob resolved@60 info mfa_seen"},
		{"CheckMfa", "0 deactivate bob serial=A; 60 checkmfa bob", "bob opened@0 high; bob resolved@60 info mfa_seen"},
		{"before", "0 login+ bob; 60 deactivate bob serial=A", "bob opened@60 high"},
		{"in the same second it may have been before", "0 deactivate bob serial=A; 0 login+ bob; 0 checkmfa bob", "bob opened@0 high"},
		{"not by a role", "0 deactivate bob serial=A; 60 login+ bob type=AssumedRole", "bob opened@0 high"},
		{"without an exposure", "0 login+ bob; 1 checkmfa bob", ""},
		{"after an exploit", "0 deactivate bob serial=A; 60 login- bob; 90 login+ bob", "bob opened@0 high; bob exploited@60 critical; bob suspect@90 critical"},
	})
}

func TestR29_OneIDOneEvent(t *testing.T) {
	testFold(t, []foldCase{
		{"twice over", "0 deactivate bob serial=A id=x; 0 deactivate bob serial=A id=x", "bob opened@0 high"},
		{"attempts", "0 deactivate bob fail=AccessDenied id=x; 0 deactivate bob fail=AccessDenied id=x", "bob attempted@0 medium x1 AccessDenied"},
	})
	for _, order := range []string{
		"0 deactivate bob id=x origin=b; 0 deactivate bob id=x origin=a; 0 deactivate bob id=x origin=c",
		"0 deactivate bob id=x origin=a; 0 deactivate bob id=x origin=c; 0 deactivate bob id=x origin=b",
	} {
		if got := Fold(script(t, order)).Alerts()[0].Event.Origin; got != "a" {
			t.Errorf("origin %q is shown, want the one that sorts first", got)
		}
	}
}

func TestR31_SameSecond(t *testing.T) {
	testFold(t, []foldCase{
		{"deactivate before delete, whatever the IDs", "0 deletevirtual - serial=A id=1; 0 deactivate bob serial=A id=2", "bob opened@0 high"},
		{"another serial's enable is a replacement", "0 deactivate bob serial=A id=1; 0 enable bob serial=B id=2", "bob reduced@0 low"},
		{"a new user's", "0 deactivate bob serial=A id=2; 0 createuser bob id=3", "bob opened@0 high"},
		{"deleted last", "0 deleteuser bob id=1; 0 deactivate bob serial=A id=2", "bob opened@0 high; bob resolved@0 info user_deleted"},
	})
}

func TestR04_AttemptsCountAsOne(t *testing.T) {
	testFold(t, []foldCase{
		{"less than an hour apart", "0 deactivate bob fail=AccessDenied; 3599 deactivate bob fail=AccessDeniedException; 7198 deletevirtual bob fail=NoSuchEntityException",
			"bob attempted@0 medium x2 AccessDenied; bob failed@7198 info x1 NoSuchEntityException"},
		{"an hour apart", "0 deactivate bob fail=AccessDenied; 3600 deactivate bob fail=AccessDenied",
			"bob attempted@0 medium x1 AccessDenied; bob attempted@3600 medium x1 AccessDenied"},
		{"by two", "0 deactivate bob fail=AccessDenied; 1 deactivate bob fail=AccessDenied by=eve",
			"bob attempted@0 medium x1 AccessDenied; bob attempted@1 medium x1 AccessDenied"},
		{"on two", "0 deactivate bob fail=AccessDenied; 1 deactivate carol fail=AccessDenied",
			"bob attempted@0 medium x1 AccessDenied; carol attempted@1 medium x1 AccessDenied"},
		{"on unknown targets", "0 deactivate - fail=AccessDenied; 1 deactivate - fail=AccessDenied", "? attempted@0 medium x2 AccessDenied"},
		{"other calls are none", "0 createuser bob fail=AccessDenied; 1 resync bob fail=AccessDenied; 2 createkey bob fail=AccessDenied", ""},
	})
	a := Fold(script(t, "0 deactivate - fail=AccessDenied by=eve")).Attempts[0]
	if !contains(a.Reasons, exposure.ReasonUnknownTarget) || a.User != "" {
		t.Errorf("%+v", a)
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct{ events, want string }{
		{"0 deactivate bob self", ""},
		{"0 deactivate bob", "other_actor"},
		{"0 deactivate bob mfa=no", "other_actor no_mfa_session"},
		{"0 deactivate bob mfa=unknown", "other_actor mfa_unknown"},
		{"0 deactivate bob mfa=unknown key=AKIAEXAMPLE self", "mfa_unknown long_term_key"},
		{"0 deactivate bob mfa=unknown key=ASIAEXAMPLE self", "mfa_unknown"},
		{"0 deactivate bob key=AKIAEXAMPLE self", ""},
		{"0 deactivate root assumedroot mfa=no", "root other_actor assumed_root no_mfa_session"},
		{"0 enable bob serial=B self; 1 deactivate bob serial=A self", "other_device"},
		{"0 enable bob serial=B self; 1 deactivate bob serial=B self", "last_device"},
		{"0 deactivate bob self; 1 createkey bob self; 2 login- bob", "exploited changed"},
		{"0 deactivate - self", "unknown_target"},
		{"0 deactivate bob self; 1 enable bob serial=X by=alice", "other_actor foreign_device"},
	} {
		if got := strings.Join(Fold(script(t, c.events)).Exposures[0].Reasons, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.events, got, c.want)
		}
	}
	if len(exposure.ReasonWords) != len(phrases) || exposure.Reasons(1<<(len(exposure.ReasonWords)-1)) != exposure.HasPrelude {
		t.Error("words, phrases and bits differ in number")
	}
}

func contains(words []string, w string) bool {
	for _, o := range words {
		if o == w {
			return true
		}
	}
	return false
}
