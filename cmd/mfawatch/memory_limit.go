package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryLimitFiles hold the memory limit of the container, of cgroups v2 and v1.
var memoryLimitFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// limitMemory has the garbage collector keep the process below nine tenths of its
// container's limit. GOMEMLIMIT takes precedence.
func limitMemory() {
	if limit := containerLimit(memoryLimitFiles); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// containerLimit returns the limit in bytes that the first readable file holds, 0
// if there is none.
func containerLimit(files []string) int64 {
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		const unlimited = 1 << 60 // v1 has a large number for it, v2 the word max
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || limit <= 0 || limit >= unlimited {
			return 0
		}
		return limit
	}
	return 0
}
