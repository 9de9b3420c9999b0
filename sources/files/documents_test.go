package files

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// split cuts a text into documents, shown in pieces of the sizes that size says.
func split(text string, size func() int) (docs []string) {
	var s splitter
	from, at := 0, 0
	for at < len(text) {
		piece := text[at:min(len(text), at+max(1, size()))]
		for len(piece) > 0 {
			n, ended := s.next([]byte(piece))
			piece, at = piece[n:], at+n
			if ended {
				docs = append(docs, text[from:at])
				from = at
			}
		}
	}
	if from < len(text) {
		docs = append(docs, text[from:])
	}
	return docs
}

func whole() int { return 1 << 30 }

func TestSplitter(t *testing.T) {
	for _, tt := range []struct {
		name string
		docs []string
	}{
		{"JSON lines", []string{"{\"a\":1}\n", "{\"b\":[1,{}]}\n", "[{\"c\":2},\n{\"d\":3}]\n"}},
		{"brackets and line ends in strings", []string{"{\"a\":\"}{][\\\"\\\\\"}\n", "{\"b\":\"\\n\"}\n"}},
		{"laid out for people", []string{"{\n  \"Records\": [\n    {\n      \"a\": \"x\"\n    },\n    {\n      \"b\": [\n        [\n          1\n        ],\n        [\n        ]\n      ]\n    }\n  ]\n}\n", "{\n}\n"}},
		{"a value on the next line", []string{"{\"a\":\n{\"b\":\n[\n[]\n,\n{}\n]}}\n", "{}\n"}},
		{"several on a line", []string{"{\"a\":1}{\"b\":2} [3]\n", "{}\n"}},
		{"words", []string{"hello { world\n", "\n<13>1 {\"a\":\n", "eyJhIjoxfQ==\n", "\"text\"\n", "{}\n"}},
		{"empty lines", []string{"\n\r\n  {\"a\":1}\r\n", "\n{}\n"}},
		{"no end", []string{"{}\n", "{\"a\":1}"}},
		{"cut off in a string", []string{"{\"a\":\"begi\n", "{\"b\":2}\n", "{\"c\":3}\n"}},
		{"cut off with a backslash", []string{"{\"a\":\"begi\\\n", "{\"b\":2}\n"}},
		{"cut off behind a value", []string{"{\"a\":[1\n", "{\"b\":2}\n", "{\"c\":3}\n"}},
		{"cut off behind a name", []string{"{\"a\"\n", "{\"b\":2}\n"}},
		{"cut off behind a comma", []string{"{\"a\":1,\n", "{\"b\":2}\n"}},
		{"cut off in a list, which shows late", []string{"{\"a\":[1,\n{\"b\":2}\n", "{\"c\":3}\n", "{\"d\":4}\n"}},
		{"closed too often", []string{"]}}\n", "{}}]\n", "{\"b\":2}\n"}},
		{"deep", []string{strings.Repeat("[", 100) + "\n" + strings.Repeat("]", 100) + "\n", "{}\n"}},
	} {
		text := strings.Join(tt.docs, "")
		if got := split(text, whole); !slices.Equal(got, tt.docs) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.docs)
		}
		if got := split(text, func() int { return 1 }); !slices.Equal(got, tt.docs) {
			t.Errorf("%s, byte by byte:\ngot  %q\nwant %q", tt.name, got, tt.docs)
		}
	}
}

// A line that is JSON by itself is a document by itself, whatever came before
// it, except an open rest of a line before it; and how the text comes in pieces
// makes no difference.
func FuzzSplitter(f *testing.F) {
	f.Add("{\"a\":1}\n{\"b\":\"", uint64(1))
	f.Add("[1,\n{\"b\":\n2}\n{}\n{\"c\"", uint64(2))
	f.Add("words \" { \n", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		docs := split(text, whole)
		if strings.Join(docs, "") != text {
			t.Fatalf("%q: got %q", text, docs)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		if got := split(text, func() int { return r.IntN(5) }); !slices.Equal(got, docs) {
			t.Fatalf("%q: got %q in pieces, %q as a whole", text, got, docs)
		}
		// Whatever there is before, the third object is found by itself.
		const object = "{\"x\":[{\"y\":\"z\"}]}\n"
		docs = split(text+"\n"+object+object+object+object, whole)
		if len(docs) < 2 || docs[len(docs)-1] != object || docs[len(docs)-2] != object {
			t.Fatalf("%q: it does not find its way back: %q", text, docs)
		}
		if strings.ContainsAny(text, "{[") && json.Valid([]byte(text)) && !strings.Contains(strings.TrimSpace(text), "\n") {
			if got := split(strings.TrimSpace(text)+"\n{}\n", whole); len(got) != 2 {
				t.Fatalf("%q: got %q", text, got)
			}
		}
	})
}

func BenchmarkSplitter(b *testing.B) {
	line := []byte(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice"},"resources":[{"a":"b"},{"c":"d"}]}` + "\n")
	text := []byte(strings.Repeat(string(line), 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var s splitter
		for at := 0; at < len(text); {
			n, _ := s.next(text[at:])
			at += n
		}
	}
}
