package config

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/processor/secret"
)

// reference matches ${NAME}, ${NAME:-default}, ${file:PATH}, the escape $${, and
// any other ${.
var reference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$?\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}|file:([^}]+)\})?`)
})

// maxReferredFile bounds the file of a reference, in bytes.
const maxReferredFile = 64 << 10

// expand replaces the references in a value: ${NAME} by an environment variable,
// ${NAME:-default} by the default if that is unset or empty, ${file:PATH} by what a
// file holds, without the line's end. $${ is ${.
func (r *textReader) expand(field, value string) string {
	if r.lookup == nil || !strings.Contains(value, "${") {
		return value
	}
	bad := func(format string, args ...any) {
		r.mistakes = append(r.mistakes, Mistake{field, fmt.Sprintf(format, args...)})
	}
	m := reference()
	return m.ReplaceAllStringFunc(value, func(found string) string {
		if escaped, ok := strings.CutPrefix(found, "$$"); ok {
			return "$" + escaped
		}
		parts := m.FindStringSubmatch(found)
		name, fallback, path := parts[1], parts[2], parts[3]
		switch {
		case path != "":
			text, err := ownfile.ReadRegular(path, maxReferredFile)
			if err != nil {
				bad("cannot read %s of ${file:…}: %v", Clean(path), WithoutPath(err))
				return found
			}
			return secret.Trim(text)
		case name == "":
			bad("want ${NAME}, ${NAME:-default} or ${file:PATH} where ${ stands; write $${ for the characters ${ themselves")
		default:
			text, set := r.lookup(name)
			switch {
			case fallback != "" && text == "":
				return strings.TrimPrefix(fallback, ":-")
			case !set:
				bad("the environment variable %s is not set; set it, or write ${%[1]s:-default}", Bounded(name))
				return found // no second mistake is made of it
			}
			return text
		}
		return found
	})
}

// Escape returns a value that stands for text, whatever is in it.
func Escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }
