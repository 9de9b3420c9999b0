output "queue_url" {
  description = "sources.NAME.queue_url of mfawatch"
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "The queue to add to the bucket's own notifications, where notify_bucket is false"
  value       = aws_sqs_queue.this.arn
}

output "bucket" {
  description = "The one entry of sources.NAME.buckets of mfawatch"
  value       = local.bucket
}

output "dead_letter_queue_url" {
  value = aws_sqs_queue.dead.url
}

output "role_arn" {
  description = "serviceAccount.roleArn of the Helm chart, for IRSA"
  value       = aws_iam_role.reader.arn
}

output "key_arn" {
  value = aws_kms_key.this.arn
}
