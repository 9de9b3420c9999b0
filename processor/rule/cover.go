package rule

import "slices"

// The fields of which one implies the other.
var (
	rootField       = fieldIndex("root")
	privilegedField = fieldIndex("privileged")
	userField       = fieldIndex("user")
)

var rootOnly = value{pattern: "aws root user"}

const (
	isFalse = uint16(1) << iota
	isTrue
)

// withImplied adds what follows from the conditions: root has one name and is
// privileged, and every other user has another name.
func withImplied(conditions []condition) []condition {
	all := slices.Clone(conditions)
	root, privileged, user := find(all, rootField), find(all, privilegedField), find(all, userField)
	var isRoot, noRoot bool
	if root != nil {
		isRoot, noRoot = root.words&isFalse == 0, root.words&isTrue == 0
	}
	if user != nil && len(user.is) > 0 && !slices.ContainsFunc(user.is, func(v value) bool { return v != rootOnly }) {
		isRoot = true
	}
	if user != nil && !user.match(&Facts{User: RootUser}) || privileged != nil && privileged.words&isTrue == 0 {
		noRoot = true
	}
	if isRoot {
		all = and(all, condition{field: rootField, words: isTrue})
		all = and(all, condition{field: privilegedField, words: isTrue})
		all = and(all, condition{field: userField, is: []value{rootOnly}})
	}
	if noRoot {
		all = and(all, condition{field: rootField, words: isFalse})
		all = and(all, condition{field: userField, not: []value{rootOnly}})
	}
	return all
}

// find returns the condition on a field; nil if there is none.
func find(conditions []condition, field int) *condition {
	for i := range conditions {
		if conditions[i].field == field {
			return &conditions[i]
		}
	}
	return nil
}

// and narrows the conditions by c.
func and(conditions []condition, c condition) []condition {
	had := find(conditions, c.field)
	if had == nil {
		return append(conditions, c)
	}
	had.words &= c.words
	switch {
	case len(had.is) == 0:
		had.is = c.is
	case len(c.is) > 0 && had.match(&Facts{User: RootUser}): // the one pattern that is ever added
		had.is = c.is
	case len(c.is) > 0:
		had.not = append(slices.Clone(had.not), had.is...)
	}
	had.not = append(slices.Clone(had.not), c.not...)
	return conditions
}

// impossible reports whether nothing satisfies c.
func (c *condition) impossible() bool {
	if f := &fields[c.field]; f.words != nil {
		return c.words&(1<<len(f.words)-1) == 0
	}
	if len(c.is) == 0 {
		return slices.ContainsFunc(c.not, value.any)
	}
	for _, v := range c.is {
		if !slices.ContainsFunc(c.not, func(n value) bool { return n.covers(v) }) {
			return false
		}
	}
	return true
}

// Never says why m matches no alert at all; "" if it matches some.
func (m *Matcher) Never() string {
	for i := range m.conditions {
		if c := &m.conditions[i]; c.impossible() {
			return fields[c.field].name + " cannot be " + c.String()
		}
	}
	if c := find(m.implied, privilegedField); c != nil && c.impossible() {
		return "root is always privileged"
	}
	if slices.ContainsFunc(m.implied, func(c condition) bool { return c.impossible() }) {
		return "root is " + RootUser + " and nobody else is"
	}
	return ""
}

// Covers reports whether m matches every alert that o matches. It is true only
// where that is certain.
func (m *Matcher) Covers(o *Matcher) bool {
	if o.Never() != "" {
		return true
	}
	for i := range m.conditions {
		c := &m.conditions[i]
		if !c.covers(find(o.implied, c.field)) {
			return false
		}
	}
	return true
}

// covers reports whether c holds wherever o does; o is nil if the field is
// free.
func (c *condition) covers(o *condition) bool {
	if f := &fields[c.field]; f.words != nil {
		set := uint16(1)<<len(f.words) - 1
		if o != nil {
			set &= o.words
		}
		return set&^c.words == 0
	}
	if o == nil {
		o = &condition{}
	}
	is := o.is
	if len(is) == 0 {
		is = []value{{pattern: "*"}}
	}
	for _, v := range is {
		covers := func(w value) bool { return w.covers(v) }
		if slices.ContainsFunc(o.not, covers) {
			continue // nothing is left of it
		}
		if len(c.is) > 0 && !slices.ContainsFunc(c.is, covers) {
			return false
		}
		for _, n := range c.not {
			if !n.apart(v) && !slices.ContainsFunc(o.not, func(w value) bool { return w.covers(n) }) {
				return false
			}
		}
	}
	return true
}

// maxCoverSteps bounds the work of Covered.
const maxCoverSteps = 4096

// Covered returns the places of those matchers that together match every alert
// that m matches; nil where that is not certain.
func (m *Matcher) Covered(by []*Matcher) []int {
	left := maxCoverSteps
	all, ok := m.covered(by, &left)
	if !ok {
		return nil
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// covered looks for one matcher that covers m, and else splits m by the words
// of a field on which the matchers differ, and looks for covers of each part.
func (m *Matcher) covered(by []*Matcher, left *int) (all []int, ok bool) {
	if *left--; *left < 0 {
		return nil, false
	}
	if m.Never() != "" {
		return nil, true
	}
	for i, o := range by {
		if o.Covers(m) {
			return []int{i}, true
		}
	}
	for i := range fields {
		if fields[i].words == nil || !slices.ContainsFunc(by, func(o *Matcher) bool {
			c := find(o.conditions, i)
			return c != nil && !c.covers(find(m.implied, i))
		}) {
			continue
		}
		set := uint16(1)<<len(fields[i].words) - 1
		if c := find(m.implied, i); c != nil {
			set &= c.words
		}
		if set&(set-1) == 0 {
			continue // one word is all there is
		}
		for bit := uint16(1); bit <= set; bit <<= 1 {
			if set&bit == 0 {
				continue
			}
			part := &Matcher{conditions: and(slices.Clone(m.conditions), condition{field: i, words: bit})}
			part.implied = withImplied(part.conditions)
			some, ok := part.covered(by, left)
			if !ok {
				return nil, false
			}
			all = append(all, some...)
		}
		return all, true
	}
	return nil, false
}
