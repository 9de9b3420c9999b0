package main

import "github.com/mfawatch/mfawatch/processor/exposure"

// policy is what the configuration says of when to tell, and how loudly. The
// configuration is sound.
func (s *settings) policy() exposure.Policy {
	p := exposure.DefaultPolicy()
	p.EscalateAfter, p.Retention = s.EscalateAfter, s.Retention
	return p
}
