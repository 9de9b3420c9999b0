// Package examples holds complete configurations, one for each common set-up.
// mfawatch init writes them.
package examples

import "embed"

// Files holds the configurations, each NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS
