// Package libdeflate gives the benchmarks of package inflate the C library to
// compare with, under the build tag libdeflate.
package libdeflate
