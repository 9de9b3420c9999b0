package journal

import (
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// release lets go of the memory that holds what was read of the file through its
// map. The pages are clean: they are there again when they are touched.
func release(db *bolt.DB, size int64) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, db.Info().Data, uintptr(size), syscall.MADV_DONTNEED)
}
