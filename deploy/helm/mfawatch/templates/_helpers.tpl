{{- define "mfawatch.labels" -}}
app.kubernetes.io/name: mfawatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "mfawatch.config" -}}
{{- $own := dict "journal" (dict "path" "/var/lib/mfawatch/mfawatch.db") "http" (dict "address" "0.0.0.0:9464") -}}
{{- if .Values.journal.kafka -}}
{{- $_ := set $own "journal" (merge (dict "type" "kafka" "path" "/var/lib/mfawatch/cache") .Values.journal.kafka) -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- fail "replicas: more than one share a journal in Kafka: set journal.kafka.brokers" -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end }}
