// Package rule is the language in which a configuration selects alerts: for
// severity rules, routes, privileged users and planned changes.
//
// # Glossary
//
//   - Matcher: conditions on fields, all of which have to hold.
//   - Facts: the fields of one alert that matchers see.
//   - Value: a pattern, an address, a network, or one of a field's words.
//
// # Contract
//
// [Compile] reports every mistake with its field and what would be right. A
// [Matcher] is immutable and safe for concurrent use, and Match neither allocates
// nor fails, whatever text an attacker chose. Never, Covers and Covered are
// certain where they say yes; they are silent where a proof would take too long.
package rule
