// Package kafka reads the topics of a Kafka cluster as a member of a consumer
// group.
//
// The records that one poll brings of one partition are one delivery. A
// partition is handled in offset order; several partitions are handled
// concurrently. An offset is committed only after the handler took every record
// before it, and never after the partition was taken away.
package kafka
