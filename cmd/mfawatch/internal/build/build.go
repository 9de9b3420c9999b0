// Package build tells which build of the program runs.
package build

import (
	"runtime"
	"runtime/debug"
)

// Info is the build information of the Go toolchain.
type Info struct{ Version, Commit, GoVersion string }

// Read returns the build information of this binary.
func Read() Info {
	b := Info{Version: "(devel)", Commit: "unknown", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		b.Commit += ", modified"
	}
	return b
}
