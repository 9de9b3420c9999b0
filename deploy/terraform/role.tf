# A role that may do what mfawatch does and no more.

data "aws_iam_policy_document" "reader" {
  statement {
    sid       = "Queue"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    resources = [aws_sqs_queue.this.arn]
  }
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arn}/*"]
  }
  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = concat([aws_kms_key.this.arn], var.bucket_key_arns)
  }
  statement {
    sid       = "Backfill"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }
}

data "aws_iam_policy_document" "trust" {
  dynamic "statement" {
    for_each = length(var.principals) == 0 ? [] : [var.principals]
    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]
      principals {
        type        = "Service"
        identifiers = statement.value
      }
    }
  }
  dynamic "statement" {
    for_each = var.oidc_provider_arn == null ? [] : [regex("oidc-provider/(.+)$", var.oidc_provider_arn)[0]]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [var.oidc_provider_arn]
      }
      condition {
        test     = "StringEquals"
        variable = "${statement.value}:sub"
        values   = ["system:serviceaccount:${var.namespace}:${var.service_account}"]
      }
      condition {
        test     = "StringEquals"
        variable = "${statement.value}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role" "reader" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.trust.json
  lifecycle {
    precondition {
      condition     = length(var.principals) > 0 || var.oidc_provider_arn != null
      error_message = "Set principals or oidc_provider_arn: nothing could assume the role."
    }
  }
}

resource "aws_iam_role_policy" "reader" {
  name   = "read-the-trail"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.reader.json
}

resource "aws_iam_instance_profile" "reader" {
  count = contains(var.principals, "ec2.amazonaws.com") ? 1 : 0
  name  = var.name
  role  = aws_iam_role.reader.name
}
