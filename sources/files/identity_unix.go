//go:build unix

package files

import (
	"io/fs"
	"strconv"
	"syscall"
)

// identity distinguishes files whatever they are called: a renamed file is the same
// one.
func identity(_ string, info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(st.Dev), 36) + ":" + strconv.FormatUint(uint64(st.Ino), 36)
}
