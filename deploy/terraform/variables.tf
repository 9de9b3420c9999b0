variable "name" {
  description = "Name of the queue and the role, and of the trail if it is created."
  type        = string
  default     = "mfawatch"
}

variable "existing_bucket" {
  description = "Name of the bucket of an existing trail, of this account and region. Null: trail and bucket are created. The module owns the bucket's notifications: where other configuration does, set notify_bucket to false and add the output queue_arn there."
  type        = string
  default     = null
}

variable "notify_bucket" {
  description = "Whether the bucket notifies the queue of new objects: the sure way, some minutes after the call."
  type        = bool
  default     = true
}

variable "key_prefix" {
  description = "Notify of objects below this prefix alone, such as AWSLogs/o-abcdefghij/."
  type        = string
  default     = null
}

variable "bucket_key_arns" {
  description = "Keys that the objects of an existing bucket are encrypted with; they may belong to another account, whose key policy must then allow the role, too."
  type        = list(string)
  default     = []
}

variable "event_bridge" {
  description = "Whether EventBridge delivers IAM's calls of this account and region to the queue: the fast way, within seconds. IAM's calls are in us-east-1. The records come again by the bucket, and count once."
  type        = bool
  default     = true
}

variable "organization_id" {
  description = "The organization's ID (o-…), to create a trail of all its accounts, in the management account. Null: a trail of this account."
  type        = string
  default     = null
  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "Want the organization's ID, such as o-abcdefghij."
  }
}

variable "retention_days" {
  description = "How long objects are kept in a bucket that is created."
  type        = number
  default     = 365
  validation {
    condition     = var.retention_days >= 35
    error_message = "Want at least 35 days: CloudTrail delivers again for up to 30."
  }
}

variable "principals" {
  description = "Services that may assume the role, such as ec2.amazonaws.com or ecs-tasks.amazonaws.com."
  type        = list(string)
  default     = ["pods.eks.amazonaws.com"]
}

variable "oidc_provider_arn" {
  description = "The cluster's OIDC provider, for IRSA. Null: none."
  type        = string
  default     = null
}

variable "namespace" {
  description = "The namespace of the service account that IRSA allows."
  type        = string
  default     = "mfawatch"
}

variable "service_account" {
  description = "The service account that IRSA allows: the Helm chart's serviceAccount.name."
  type        = string
  default     = "mfawatch"
}

variable "alarm_actions" {
  description = "What the alarms notify, such as the ARN of an SNS topic."
  type        = list(string)
  default     = []
}
