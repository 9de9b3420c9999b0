package main

import (
	"runtime"
	"runtime/debug"
)

// A buildInfo is what the Go toolchain wrote into the binary.
type buildInfo struct{ version, commit, goVersion string }

func readBuild() buildInfo {
	b := buildInfo{version: "(devel)", commit: "unknown", goVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.version = info.Main.Version
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		b.commit += ", modified"
	}
	return b
}
