package rule

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Matcher matches alerts by their Facts. All of its conditions have to hold;
// without any it matches every alert. It is immutable.
type Matcher struct {
	conditions []condition // in the order of fields
	implied    []condition // conditions and what follows from them
}

// condition is a requirement on one field.
type condition struct {
	field int
	words uint16  // words: the set it accepts, bit i for words[i], the bit above for any other
	is    []value // text: one of these has to match, if there are any
	not   []value // text: none of these may match
}

// Compile returns the matcher of a configuration: fields by name, each with the
// value that it may have, a list of values, or a map with what it `is`, is
// `not`, or both. Text is a pattern, in which * matches any text and ? any one
// character, in any case; source_ip accepts an address or a network; a severity
// may begin with >=, >, <= or <. The error joins one for each mistake, "field:
// problem".
func Compile(config map[string]any) (*Matcher, error) {
	m := new(Matcher)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(config)) {
		i := fieldIndex(name)
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s: unknown field%s", quoteWord(name), Suggestion(name, Fields())))
			continue
		}
		c, err := conditionOf(i, config[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		m.conditions = append(m.conditions, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(m.conditions, func(a, b condition) int { return a.field - b.field })
	m.implied = withImplied(m.conditions)
	return m, nil
}

// conditionOf reads the configuration of one field.
func conditionOf(i int, config any) (condition, error) {
	c := condition{field: i}
	is, not := config, any(nil)
	if m, ok := config.(map[string]any); ok {
		is, not = m["is"], m["not"]
		for key := range m {
			if key != "is" && key != "not" {
				return c, fmt.Errorf("want a value, a list, or a map with is or not, got %s in it", quoteWord(key))
			}
		}
		if is == nil && not == nil {
			return c, errors.New("want a value, a list, or a map with is or not, got an empty map")
		}
	} else if is == nil {
		return c, fmt.Errorf("want %s, got nothing", fields[i].wanted())
	}
	if fields[i].words != nil {
		return c, c.readWords(is, not)
	}
	var err error
	if c.is, err = values(i, is); err != nil {
		return c, err
	}
	c.not, err = values(i, not)
	return c, err
}

// values reads one pattern, or a list.
func values(i int, config any) ([]value, error) {
	list, err := listOf(config)
	if err != nil {
		return nil, err
	}
	var all []value
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("want text, in quotes, got %s", describe(item))
		}
		v, err := valueOf(fields[i].name, text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all, nil
}

// readWords reads the set of words that the field accepts.
func (c *condition) readWords(is, not any) error {
	f := &fields[c.field]
	c.words = 1<<(len(f.words)+1) - 1
	for _, part := range []struct {
		config any
		not    bool
	}{{is, false}, {not, true}} {
		if part.config == nil {
			continue
		}
		list, err := listOf(part.config)
		if err != nil {
			return err
		}
		var set uint16
		for _, item := range list {
			bits, err := f.bits(item)
			if err != nil {
				return err
			}
			set |= bits
		}
		if part.not {
			set = ^set
		}
		c.words &= set
	}
	return nil
}

// bits returns the set of words that one value of a configuration stands for.
func (f *field) bits(item any) (uint16, error) {
	text, ok := item.(string)
	if b, isBool := item.(bool); isBool {
		text, ok = strconv.FormatBool(b), true
	}
	if !ok {
		return 0, fmt.Errorf("want %s, got %s", f.wanted(), describe(item))
	}
	word, from, to := text, 0, 0
	if f.name == severity {
		word = strings.TrimLeft(text, "<>=")
		switch text[:len(text)-len(word)] {
		case "":
			to = 1
		case ">=":
			to = len(f.words)
		case ">":
			from, to = 1, len(f.words)
		case "<=":
			from, to = -len(f.words), 1
		case "<":
			from = -len(f.words)
		default:
			return 0, fmt.Errorf("want one of >=, >, <= and < before a severity, got %s", quoteWord(text))
		}
		word = strings.TrimSpace(word)
	} else {
		to = 1
	}
	at := slices.Index(f.words, strings.ToLower(word))
	if at < 0 {
		return 0, fmt.Errorf("unknown %s%s", quoteWord(word), Suggestion(word, f.words))
	}
	var set uint16
	for i := max(0, at+from); i < min(len(f.words), at+to); i++ {
		set |= 1 << i
	}
	if set == 0 {
		return 0, fmt.Errorf("nothing is %s", text)
	}
	return set, nil
}

// wanted says what the field accepts.
func (f *field) wanted() string {
	switch {
	case len(f.words) == 2:
		return "true or false"
	case f.words != nil:
		return "one of " + strings.Join(f.words, ", ")
	}
	return "text"
}

func listOf(config any) ([]any, error) {
	switch v := config.(type) {
	case nil:
		return nil, nil
	case []any:
		if len(v) == 0 {
			return nil, errors.New("want at least one value, got an empty list")
		}
		return v, nil
	case []string:
		list := make([]any, len(v))
		for i, text := range v {
			list[i] = text
		}
		return listOf(list)
	}
	return []any{config}, nil
}

// quoteWord renders a word of a configuration, bounded and fit for a line.
func quoteWord(text string) string {
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" {
		return text
	}
	return strconv.Quote(text)
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return quoteWord(v)
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	}
	return quoteWord(fmt.Sprint(v))
}

// Match reports whether m matches f. It does not allocate.
func (m *Matcher) Match(f *Facts) bool {
	for i := range m.conditions {
		if !m.conditions[i].match(f) {
			return false
		}
	}
	return true
}

func (c *condition) match(f *Facts) bool {
	field := &fields[c.field]
	if field.words != nil {
		at := field.word(f)
		if at < 0 {
			at = len(field.words)
		}
		return c.words&(1<<at) != 0
	}
	text := field.text(f)
	var address netip.Addr
	if field.name == sourceIP {
		address, _ = parseAddress(text)
	}
	hit := len(c.is) == 0
	for i := 0; !hit && i < len(c.is); i++ {
		hit = c.is[i].match(text, address)
	}
	for i := 0; hit && i < len(c.not); i++ {
		hit = !c.not[i].match(text, address)
	}
	return hit
}

// String renders m as one line of YAML without the braces around it; "anything"
// without conditions.
func (m *Matcher) String() string {
	if len(m.conditions) == 0 {
		return "anything"
	}
	parts := make([]string, len(m.conditions))
	for i := range m.conditions {
		c := &m.conditions[i]
		parts[i] = fields[c.field].name + ": " + c.String()
	}
	return strings.Join(parts, ", ")
}

// String renders the condition as the value of its field.
func (c *condition) String() string {
	f := &fields[c.field]
	if f.words != nil {
		return f.print(c.words)
	}
	is, not := printList(c.is), printList(c.not)
	switch {
	case not == "":
		return is
	case is == "":
		return "{not: " + not + "}"
	}
	return "{is: " + is + ", not: " + not + "}"
}

func printList(values []value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = quoted(v.String())
	}
	switch len(texts) {
	case 0:
		return ""
	case 1:
		return texts[0]
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// print renders a set of words: those in it, or those that are not if only that
// is possible.
func (f *field) print(set uint16) string {
	all := uint16(1)<<len(f.words) - 1
	prefix, suffix := "", ""
	switch {
	case set == 0: // which contradicts itself
		return "{is: " + f.words[0] + ", not: " + f.words[0] + "}"
	case set&^all != 0: // any other word, too
		set, prefix, suffix = all&^set, "{not: ", "}"
	}
	var words []string
	for i, w := range f.words {
		if set&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	if n := len(words); f.name == severity && prefix == "" && n > 1 && slices.Equal(words, f.words[len(f.words)-n:]) {
		return strconv.Quote(">= " + words[0])
	}
	if len(words) == 1 {
		return prefix + words[0] + suffix
	}
	return prefix + "[" + strings.Join(words, ", ") + "]" + suffix
}

// quoted renders text as YAML.
func quoted(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_-./*") == "" &&
		text[0] >= 'a' && text[0] <= 'z'
	switch text {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return text
	}
	return strconv.Quote(text)
}

// Unmatched returns the values that m names for a text field and that match none
// of the known texts.
func (m *Matcher) Unmatched(field string, known []string) (values []string) {
	c := find(m.conditions, fieldIndex(field))
	if c == nil {
		return nil
	}
	for _, v := range slices.Concat(c.is, c.not) {
		if !slices.ContainsFunc(known, func(text string) bool { return v.match(text, netip.Addr{}) }) && !v.match("", netip.Addr{}) {
			values = append(values, v.String())
		}
	}
	return values
}

// Asks reports whether m has a condition on the field.
func (m *Matcher) Asks(field string) bool {
	return slices.ContainsFunc(m.conditions, func(c condition) bool { return fields[c.field].name == field })
}
