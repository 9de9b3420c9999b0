package web

import (
	"runtime"
	"runtime/debug"
)

// A Build is what the Go toolchain wrote into the binary.
type Build struct{ Version, Commit, GoVersion string }

// ReadBuild returns what this binary was built from.
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
