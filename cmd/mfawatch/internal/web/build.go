package web

import (
	"runtime"
	"runtime/debug"
)

// A Build is the build information of the Go toolchain.
type Build struct{ Version, Commit, GoVersion string }

// ReadBuild returns the build information of this binary.
func ReadBuild() Build {
	b := Build{Version: "(devel)", Commit: "unknown", GoVersion: runtime.Version()}
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
